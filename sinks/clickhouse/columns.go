package clickhouse

import (
	"encoding/json"
	"strings"
	"time"

	ch "github.com/ClickHouse/clickhouse-go/v2"

	"github.com/earshot/earshot/schemas"
)

// columns defines every column of the fact table once: its name, its type in the table, and where a row keeps it, which
// serves for writing and for reading back. The INSERT statement and the blocks are made from this list, by name, so that no
// position can slip; a test holds it against the table as it was created, and another reads back what was written.
//
// Where an event leaves out what has a default in the contract (actor_kind, visibility, pii_state, scale_dir), the
// default is what is stored, so that no question need repeat it.
var columns = [...]column{
	words("tenant", func(r *schemas.Row) *string { return &r.Event.Tenant }),
	words("source", func(r *schemas.Row) *string { return &r.Event.Source }),
	texts("source_event_id", func(r *schemas.Row) *string { return &r.Event.ID }),
	identities("event_id", func(r *schemas.Row) *schemas.EventID { return &r.ID }),
	words("kind", func(r *schemas.Row) *schemas.Kind { return &r.Event.Kind }),
	words("channel", func(r *schemas.Row) *string { return &r.Event.Data.Channel }),
	times("occurred_at", func(r *schemas.Row) *time.Time { return &r.Event.Time }),
	times("received_at", func(r *schemas.Row) *time.Time { return &r.ReceivedAt }),
	numbers("generation", "UInt32", func(r *schemas.Row) *uint32 { return &r.Generation }),
	words("epoch", func(r *schemas.Row) *string { return &r.Epoch }),
	numbers("shard", "UInt16", func(r *schemas.Row) *uint16 { return &r.Shard }),
	numbers("seq", "UInt64", func(r *schemas.Row) *uint64 { return &r.Seq }),
	numbers("digest", "UInt64", func(r *schemas.Row) *uint64 { return &r.Digest }),
	texts("customer_key", func(r *schemas.Row) *string { return &r.CustomerKey }),
	texts("account_id", func(r *schemas.Row) *string { return &r.Event.Data.AccountID }),
	words("customer_segment", func(r *schemas.Row) *string { return &r.Event.Data.CustomerSegment }),
	texts("customer_since", func(r *schemas.Row) *string { return &r.Event.Data.CustomerSince }),
	pointers("customer_value", "Float64", func(r *schemas.Row) **float64 { return &r.Event.Data.CustomerValue }),
	texts("product_id", func(r *schemas.Row) *string { return &r.Event.Data.ProductID }),
	texts("order_id", func(r *schemas.Row) *string { return &r.Event.Data.OrderID }),
	words("touchpoint", func(r *schemas.Row) *string { return &r.Event.Data.Touchpoint }),
	texts("case_id", func(r *schemas.Row) *string { return &r.Event.Data.CaseID }),
	texts("conversation_id", func(r *schemas.Row) *string { return &r.Event.Data.ConversationID }),
	texts("in_reply_to", func(r *schemas.Row) *string { return &r.Event.Data.InReplyTo }),
	texts("correlation_id", func(r *schemas.Row) *string { return &r.Event.Correlation }),
	texts("causation_id", func(r *schemas.Row) *string { return &r.Event.Causation }),
	texts("trace_parent", func(r *schemas.Row) *string { return &r.Event.TraceParent }),
	usually("actor_kind", "customer", func(r *schemas.Row) *string { return &r.Event.Data.ActorKind }),
	usually("visibility", "public", func(r *schemas.Row) *string { return &r.Event.Data.Visibility }),
	texts("agent_id", func(r *schemas.Row) *string { return &r.Event.Data.AgentID }),
	words("team_id", func(r *schemas.Row) *string { return &r.Event.Data.TeamID }),
	texts("source_id", func(r *schemas.Row) *string { return &r.Event.Data.SourceID }),
	words("source_name", func(r *schemas.Row) *string { return &r.Event.Data.SourceName }),
	texts("submission_id", func(r *schemas.Row) *string { return &r.Event.Data.SubmissionID }),
	texts("field_group_id", func(r *schemas.Row) *string { return &r.Event.Data.FieldGroupID }),
	words("field_group_label", func(r *schemas.Row) *string { return &r.Event.Data.FieldGroupLabel }),
	texts("field_id", func(r *schemas.Row) *string { return &r.Event.Data.FieldID }),
	words("field_label", func(r *schemas.Row) *string { return &r.Event.Data.FieldLabel }),
	words("field_type", func(r *schemas.Row) *string { return &r.Event.Data.FieldType }),
	texts("question_text", func(r *schemas.Row) *string { return &r.Event.Data.QuestionText }),
	texts("text", func(r *schemas.Row) *string { return &r.Event.Data.Text }),
	words("language", func(r *schemas.Row) *string { return &r.Labels.Language }),
	words("language_given", func(r *schemas.Row) *string { return &r.Event.Data.Language }),
	texts("value_id", func(r *schemas.Row) *string { return &r.Event.Data.ValueID }),
	pointers("value_number", "Float64", func(r *schemas.Row) **float64 { return &r.Event.Data.Number }),
	pointers("value_boolean", "Bool", func(r *schemas.Row) **bool { return &r.Event.Data.Boolean }),
	texts("value_date", func(r *schemas.Row) *string { return &r.Event.Data.Date }),
	pointers("scale_min", "Float64", func(r *schemas.Row) **float64 { return &r.Event.Data.ScaleMin }),
	pointers("scale_max", "Float64", func(r *schemas.Row) **float64 { return &r.Event.Data.ScaleMax }),
	usually("scale_dir", "higher_better", func(r *schemas.Row) *string { return &r.Event.Data.ScaleDir }),
	texts("uri", func(r *schemas.Row) *string { return &r.Event.Data.URI }),
	pointers("audience_size", "Float64", func(r *schemas.Row) **float64 { return &r.Event.Data.Audience }),
	words("stage_hint", func(r *schemas.Row) *string { return &r.Event.Data.StageHint }),
	words("element_hint", func(r *schemas.Row) *schemas.Element { return &r.Event.Data.ElementHint }),
	words("s5_hint", func(r *schemas.Row) *schemas.S5 { return &r.Event.Data.S5Hint }),
	pointers("consent_analytics", "Bool", func(r *schemas.Row) **bool { return &r.Event.Data.ConsentAnalytics }),
	pointers("consent_contact", "Bool", func(r *schemas.Row) **bool { return &r.Event.Data.ConsentContact }),
	usually("pii_state", "raw", func(r *schemas.Row) *string { return &r.Event.Data.PIIState }),
	texts("decision_text", func(r *schemas.Row) *string { return &r.Event.Data.DecisionText }),
	words("theme_id", func(r *schemas.Row) *string { return &r.Event.Data.ThemeID }),
	words("verdict", func(r *schemas.Row) *string { return &r.Event.Data.Verdict }),
	words("outcome", func(r *schemas.Row) *string { return &r.Event.Data.Outcome }),
	optionalTimes("promise_due", func(r *schemas.Row) *string { return &r.Event.Data.PromiseDue }),
	words("resolution_code", func(r *schemas.Row) *string { return &r.Event.Data.ResolutionCode }),
	texts("event_ref", func(r *schemas.Row) *string { return &r.Event.Data.EventRef }),
	words("axis", func(r *schemas.Row) *string { return &r.Event.Data.Axis }),
	words("new_value", func(r *schemas.Row) *string { return &r.Event.Data.NewValue }),
	pairs("said_first", func(r *schemas.Row) *map[string]string { return &r.First }),
	words("polarity", func(r *schemas.Row) *schemas.Polarity { return &r.Labels.Polarity }),
	words("sentiment", func(r *schemas.Row) *schemas.Sentiment { return &r.Labels.Sentiment }),
	judged("score", func(l *schemas.Labels) *float32 { return &l.Score }),
	judged("confidence", func(l *schemas.Labels) *float32 { return &l.Confidence }),
	judged("p_negative", func(l *schemas.Labels) *float32 { return &l.Probabilities[0] }),
	judged("p_neutral", func(l *schemas.Labels) *float32 { return &l.Probabilities[1] }),
	judged("p_positive", func(l *schemas.Labels) *float32 { return &l.Probabilities[2] }),
	words("intent", func(r *schemas.Row) *schemas.Intent { return &r.Labels.Intent }),
	judged("intent_confidence", func(l *schemas.Labels) *float32 { return &l.IntentConfidence }),
	words("element", func(r *schemas.Row) *schemas.Element { return &r.Labels.Element }),
	words("urgency", func(r *schemas.Row) *schemas.Urgency { return &r.Labels.Urgency }),
	numbers("response_needed", "Bool", func(r *schemas.Row) *bool { return &r.Labels.ResponseNeeded }),
	optionals("effort", "Int8", func(r *schemas.Row) *int8 { return &r.Labels.Effort }),
	numbers("churn_risk", "Float32", func(r *schemas.Row) *float32 { return &r.Labels.ChurnRisk }),
	lists("churn_reasons", "String", func(r *schemas.Row) *[]string { return &r.Labels.ChurnReasons }),
	words("quality", func(r *schemas.Row) *schemas.TextQuality { return &r.Labels.Quality }),
	words("stage", func(r *schemas.Row) *schemas.Stage { return &r.Labels.Stage }),
	absent("stage_confidence", "Float32",
		func(r *schemas.Row) (float32, bool) { return r.Labels.StageConfidence, r.Labels.Stage != "" },
		func(r *schemas.Row, x float32) { r.Labels.StageConfidence = x }),
	words("sentiment_text", func(r *schemas.Row) *schemas.Polarity { return &r.Labels.SentimentText }),
	numbers("rating_disagrees", "Bool", func(r *schemas.Row) *bool { return &r.Scores.RatingDisagrees }),
	words("model", func(r *schemas.Row) *string { return &r.Labels.Model }),
	mentionWords("mention_element", func(m *schemas.Mention) *schemas.Element { return &m.Element }),
	mentionWords("mention_facet", func(m *schemas.Mention) *schemas.Facet { return &m.Facet }),
	mentionWords("mention_s5", func(m *schemas.Mention) *schemas.S5 { return &m.S5 }),
	mentionWords("mention_theme", func(m *schemas.Mention) *string { return &m.Theme }),
	mentions("mention_polarity", "Float32", func(m *schemas.Mention) *float32 { return &m.Polarity }),
	mentions("mention_confidence", "Float32", func(m *schemas.Mention) *float32 { return &m.Confidence }),
	mentions("mention_start", "UInt32", func(m *schemas.Mention) *uint32 { return &m.Start }),
	mentions("mention_end", "UInt32", func(m *schemas.Mention) *uint32 { return &m.End }),
	scores("element_product", func(s *schemas.Scores) *schemas.Score { return &s.Element[0] }),
	scores("element_service", func(s *schemas.Scores) *schemas.Score { return &s.Element[1] }),
	scores("element_image", func(s *schemas.Scores) *schemas.Score { return &s.Element[2] }),
	scores("facet_quality", func(s *schemas.Scores) *schemas.Score { return &s.Facet[0] }),
	scores("facet_packaging", func(s *schemas.Scores) *schemas.Score { return &s.Facet[1] }),
	scores("facet_price", func(s *schemas.Scores) *schemas.Score { return &s.Facet[2] }),
	scores("facet_presale", func(s *schemas.Scores) *schemas.Score { return &s.Facet[3] }),
	scores("facet_sale", func(s *schemas.Scores) *schemas.Score { return &s.Facet[4] }),
	scores("facet_aftersale", func(s *schemas.Scores) *schemas.Score { return &s.Facet[5] }),
	scores("facet_impression", func(s *schemas.Scores) *schemas.Score { return &s.Facet[6] }),
	scores("s5_smile", func(s *schemas.Scores) *schemas.Score { return &s.S5[0] }),
	scores("s5_speed", func(s *schemas.Scores) *schemas.Score { return &s.S5[1] }),
	scores("s5_sincerity", func(s *schemas.Scores) *schemas.Score { return &s.S5[2] }),
	scores("s5_smart", func(s *schemas.Scores) *schemas.Score { return &s.S5[3] }),
	scores("s5_study", func(s *schemas.Scores) *schemas.Score { return &s.S5[4] }),
	scores("rating", func(s *schemas.Scores) *schemas.Score { return &s.Rating }),
	scores("csat", func(s *schemas.Scores) *schemas.Score { return &s.CSAT }),
	scores("nps", func(s *schemas.Scores) *schemas.Score { return &s.NPS }),
	scores("ces", func(s *schemas.Scores) *schemas.Score { return &s.CES }),
	texts("attachments", func(r *schemas.Row) *json.RawMessage { return &r.Event.Data.Attachments }),
	texts("metadata", func(r *schemas.Row) *json.RawMessage { return &r.Event.Data.Metadata }),
	texts("extra", func(r *schemas.Row) *json.RawMessage { return &r.Event.Data.Extra }),
}

// used are the columns that the rows have anything for, in the order of the table. It goes row by row, because a row is
// larger than what the processor keeps at hand of 50,000 of them.
func used(rows []schemas.Row) []*column {
	blank := make([]*column, 0, len(columns)) // so far
	for i := range columns {
		if columns[i].empty != nil {
			blank = append(blank, &columns[i])
		}
	}
	for i := range rows {
		still := blank[:0]
		for _, c := range blank {
			if c.empty(&rows[i]) {
				still = append(still, c)
			}
		}
		blank = still
	}
	out := make([]*column, 0, len(columns))
	for i := range columns {
		if len(blank) > 0 && blank[0] == &columns[i] {
			blank = blank[1:]
			continue
		}
		out = append(out, &columns[i])
	}
	return out
}

// insertStatement names the columns.
func insertStatement(table string, cols []*column) string {
	names := make([]string, len(cols))
	for i, c := range cols {
		names[i] = c.name
	}
	return "INSERT INTO " + table + " (" + strings.Join(names, ", ") + ")"
}

// wire is how the columns travel. A LowCardinality(String) travels as a String: the driver would build the dictionary
// through an interface value for each cell, the server does it several times faster.
func wire(cols []*column) []ch.ColumnNameAndType {
	out := make([]ch.ColumnNameAndType, len(cols))
	for i, c := range cols {
		out[i] = ch.ColumnNameAndType{Name: c.name, Type: strings.ReplaceAll(c.typ, "LowCardinality(String)", "String")}
	}
	return out
}
