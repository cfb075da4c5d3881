package gateway

// words are the texts of the answer page in one language.
type words struct {
	Tag string // BCP 47

	Title, AskVerdict, AskRating, Proposed             string
	Agree, Disagree, Counter, CounterHint              string
	Comment, CommentRating, Send, Once, Worst, Best    string
	Done, DoneMore                                     string
	Gone, Unknown, Busy, Later                         string
	FaultChoose, FaultSay, FaultLong, FaultTitle, Case string
}

// answerWords are the languages of the page; the first is taken where none fits.
var answerWords = [...]words{
	{
		Tag: "en", Title: "Your answer", AskVerdict: "What do you think of this decision?", AskRating: "How satisfied are you now?",
		Proposed: "We propose", Agree: "I agree", Disagree: "I do not agree", Counter: "I want something else",
		CounterHint: "If you want something else, please say what.", Comment: "In your own words (optional unless you want something else)", CommentRating: "In your own words (optional)",
		Send: "Send answer", Once: "This link counts once. If an answer was sent with it before, the first one counts.", Worst: "very dissatisfied", Best: "very satisfied",
		Done: "Thank you. Your answer has arrived.", DoneMore: "You can close this page. If an answer was sent with this link before, the first one counts.",
		Gone: "This link is too old. Please answer the message in which it came instead.", Unknown: "This link is not complete. Please open it again from the message in which it came.",
		Busy: "Too many pages are being opened. Please try again in a minute.", Later: "Your answer has not arrived. Please send it again in a minute; it will not count twice.",
		FaultTitle: "Not sent yet", FaultChoose: "Please choose one of the answers.", FaultSay: "Please say what you would like instead.",
		FaultLong: "Please use at most 5,000 characters.", Case: "Case",
	},
	{
		Tag: "zh", Title: "您的答复", AskVerdict: "您对这个处理方案有什么看法？", AskRating: "您现在满意吗？",
		Proposed: "我们的方案", Agree: "我同意", Disagree: "我不同意", Counter: "我有别的要求",
		CounterHint: "如果您有别的要求，请写明。", Comment: "请用您自己的话说明（有别的要求时必填，其他情况可不填）", CommentRating: "请用您自己的话说明（可不填）",
		Send: "提交答复", Once: "此链接只计一次。如果之前已经提交过，以第一次的答复为准。", Worst: "非常不满意", Best: "非常满意",
		Done: "谢谢！我们已收到您的答复。", DoneMore: "您可以关闭此页面。如果之前已用此链接提交过，以第一次的答复为准。",
		Gone: "此链接已过期，请直接回复收到此链接的消息。", Unknown: "此链接不完整，请从原消息中重新打开。",
		Busy: "打开的页面过多，请一分钟后再试。", Later: "您的答复还没有送达，请一分钟后再次提交，不会重复计算。",
		FaultTitle: "尚未提交", FaultChoose: "请选择一个答复。", FaultSay: "请写明您希望怎样处理。",
		FaultLong: "请不要超过五千字。", Case: "编号",
	},
	{
		Tag: "de", Title: "Ihre Antwort", AskVerdict: "Was halten Sie von dieser Entscheidung?", AskRating: "Wie zufrieden sind Sie jetzt?",
		Proposed: "Wir schlagen vor", Agree: "Ich stimme zu", Disagree: "Ich stimme nicht zu", Counter: "Ich möchte etwas anderes",
		CounterHint: "Wenn Sie etwas anderes möchten, sagen Sie bitte, was.", Comment: "In Ihren Worten (nur nötig, wenn Sie etwas anderes möchten)", CommentRating: "In Ihren Worten (nicht nötig)",
		Send: "Antwort senden", Once: "Dieser Link zählt einmal. Wurde damit schon geantwortet, zählt die erste Antwort.", Worst: "sehr unzufrieden", Best: "sehr zufrieden",
		Done: "Danke. Ihre Antwort ist angekommen.", DoneMore: "Sie können diese Seite schließen. Wurde mit diesem Link schon geantwortet, zählt die erste Antwort.",
		Gone: "Dieser Link ist zu alt. Bitte antworten Sie auf die Nachricht, in der er stand.", Unknown: "Dieser Link ist nicht vollständig. Bitte öffnen Sie ihn noch einmal aus der Nachricht.",
		Busy: "Es werden zu viele Seiten geöffnet. Bitte versuchen Sie es in einer Minute wieder.", Later: "Ihre Antwort ist nicht angekommen. Bitte senden Sie sie in einer Minute noch einmal; sie zählt nicht doppelt.",
		FaultTitle: "Noch nicht gesendet", FaultChoose: "Bitte wählen Sie eine der Antworten.", FaultSay: "Bitte sagen Sie, was Sie stattdessen möchten.",
		FaultLong: "Bitte höchstens 5.000 Zeichen.", Case: "Fall",
	},
}
