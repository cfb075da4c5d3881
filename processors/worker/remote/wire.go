package remote

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"regexp"
	"slices"

	"github.com/earshot/earshot/processors/classify"
	"github.com/earshot/earshot/processors/worker"
	"github.com/earshot/earshot/schemas"
)

// question is the body of a request.
type question struct {
	Version int    `json:"version"`
	Texts   []text `json:"texts"`
}

type text struct {
	ID          int             `json:"id"`
	Tenant      string          `json:"tenant"`
	Text        string          `json:"text"`
	Language    string          `json:"language,omitempty"`
	Kind        schemas.Kind    `json:"kind"`
	Channel     string          `json:"channel,omitempty"`
	Question    string          `json:"question,omitempty"`
	StageHint   string          `json:"stage_hint,omitempty"`
	ElementHint schemas.Element `json:"element_hint,omitempty"`
	Rating      *float32        `json:"rating,omitempty"`
}

// asText is what goes out of a text.
func asText(id int, a *worker.Asked) text {
	in := &a.Input
	out := text{ID: id, Tenant: a.Tenant, Text: in.Text, Language: in.Language, Kind: in.Kind, Channel: in.Channel,
		Question: in.QuestionText, StageHint: in.StageHint, ElementHint: in.ElementHint}
	if in.Rating.Valid {
		out.Rating = &in.Rating.Value
	}
	return out
}

// answer is the body of a response.
type answer struct {
	Model  string  `json:"model"`
	Labels []label `json:"labels"`
}

type label struct {
	ID            *int                    `json:"id"`
	Probabilities *classify.Probabilities `json:"probabilities"`

	Intent           schemas.Intent  `json:"intent"`
	IntentConfidence *float32        `json:"intent_confidence"`
	Element          schemas.Element `json:"element"`
	Stage            schemas.Stage   `json:"stage"`
	StageConfidence  *float32        `json:"stage_confidence"`
}

var (
	modelName = regexp.MustCompile(`^[A-Za-z0-9._+:-]{1,64}$`)
	intents   = [...]schemas.Intent{schemas.Complaint, schemas.Praise, schemas.Question, schemas.Request, schemas.ChurnNotice, schemas.OtherIntent}
	stages    = [...]schemas.Stage{schemas.StagePresale, schemas.StageSale, schemas.StageAftersale, schemas.NoStage}
)

// errTooLong says that an answer is longer than any right one.
var errTooLong = errors.New("the answer is longer than the contract allows")

// readAnswer reads an answer to n texts. Any fault of it voids the whole: a model that breaks the contract in one place is
// not to be believed in another.
func readAnswer(r io.Reader, n int) (*answer, error) {
	limit := int64(4<<10 + n<<10)
	body, err := io.ReadAll(io.LimitReader(r, limit+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("read the answer: %w", err)
	case int64(len(body)) > limit:
		return nil, errTooLong
	}
	var a answer
	d := json.NewDecoder(bytes.NewReader(body))
	if err := d.Decode(&a); err != nil {
		return nil, fmt.Errorf("the answer is not what the contract wants: %w", err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("the answer goes on after its end")
	}
	if !modelName.MatchString(a.Model) {
		return nil, fmt.Errorf("model %.80q: want 1 to 64 letters, digits and . _ + : -", a.Model)
	}
	seen := make([]bool, n)
	for i := range a.Labels {
		l := &a.Labels[i]
		if l.ID == nil || *l.ID < 0 || *l.ID >= n || seen[*l.ID] {
			return nil, fmt.Errorf("label %d has no id that was asked, or one that is there twice", i)
		}
		seen[*l.ID] = true
		if err := l.check(); err != nil {
			return nil, fmt.Errorf("label of text %d: %w", *l.ID, err)
		}
	}
	return &a, nil
}

func (l *label) check() error {
	if p := l.Probabilities; p != nil {
		sum := float64(p.Negative) + float64(p.Neutral) + float64(p.Positive)
		if p.Negative < 0 || p.Neutral < 0 || p.Positive < 0 || math.Abs(sum-1) > 0.02 {
			return fmt.Errorf("probabilities %v do not sum to 1", *p)
		}
	}
	for _, c := range []*float32{l.IntentConfidence, l.StageConfidence} {
		if c != nil && (*c < 0 || *c > 1) {
			return fmt.Errorf("confidence %v is not within 0 … 1", *c)
		}
	}
	switch {
	case l.Intent != "" && !slices.Contains(intents[:], l.Intent):
		return fmt.Errorf("intent %.40q: want one of %v", l.Intent, intents)
	case l.Stage != "" && !slices.Contains(stages[:], l.Stage):
		return fmt.Errorf("stage %.40q: want one of %v", l.Stage, stages)
	case l.Element != "" && !schemas.ValidElement(l.Element):
		return fmt.Errorf("element %.40q: want product, service, image or unspecified", l.Element)
	}
	return nil
}

// apply puts what the answer says in the place of the linear labels. A confidence that is not given is 1 where the label
// is. What the source said of the stage stands above any classifier.
func (l *label) apply(in *classify.Input, to *schemas.Labels) {
	if p := l.Probabilities; p != nil {
		sum := float64(p.Negative) + float64(p.Neutral) + float64(p.Positive)
		at := [3]float64{float64(p.Negative) / sum, float64(p.Neutral) / sum, float64(p.Positive) / sum}
		best := 1
		for k := range at {
			if at[k] > at[best] {
				best = k
			}
			to.Probabilities[k] = float32(at[k])
		}
		to.Polarity = [3]schemas.Polarity{schemas.Negative, schemas.Neutral, schemas.Positive}[best]
		to.SentimentText, to.Confidence = to.Polarity, float32(at[best])
		to.Score = schemas.Quantise(at[2] - at[0])
	}
	given := func(c *float32) float32 {
		if c == nil {
			return 1
		}
		return *c
	}
	if l.Intent != "" {
		to.Intent, to.IntentConfidence = l.Intent, given(l.IntentConfidence)
	}
	if l.Element != "" {
		to.Element = l.Element
	}
	if l.Stage != "" && in.StageHint == "" {
		to.Stage, to.StageConfidence = l.Stage, given(l.StageConfidence)
	}
}
