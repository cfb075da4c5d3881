// Package remote asks a model of the user's own, behind HTTP, about the texts that the linear classifier is unsure of.
//
// A prepared batch passes through it once, after the linear classifier: [Client.Revise] picks the customers' texts whose
// polarity has a probability below a bound, sends them in requests of some dozens at a time, several at once, and puts
// the answers in the place of the labels. A request that fails, is late, or whose answer breaks the contract in any part,
// changes nothing: its texts keep the linear labels, and the model named on each row says who labelled it. After some
// failures in a row nobody is asked for a while, and then one request tries.
//
// What goes out is the text and what the classifier is told of it, never who the customer is.
//
// # Contract, version 1
//
// The request is a POST of JSON; the key, if there is one, is in "Authorization: Bearer …":
//
//	{"version":1,"texts":[{"id":0,"tenant":"acme","text":"…","language":"en","kind":"feedback.received","channel":"app",
//	  "question":"…","stage_hint":"sale","element_hint":"service","rating":-0.5}]}
//
// All but id, tenant, text and kind are left out where they are not known; rating is on −1 … 1. The answer is a 200 with
//
//	{"model":"acme-bert-3","labels":[{"id":0,"probabilities":{"negative":0.7,"neutral":0.2,"positive":0.1},
//	  "intent":"complaint","intent_confidence":0.9,"element":"service","stage":"aftersale","stage_confidence":0.8}]}
//
// model is 1 to 64 letters, digits and . _ + : -, and must change whenever answers may. Ids may come in any order; a text
// without an answer keeps what it has, and so does every label that an answer leaves out. The three probabilities sum to
// 1 ± 0.02. An answer has at most 4 KiB, and 1 KiB for each text asked.
package remote
