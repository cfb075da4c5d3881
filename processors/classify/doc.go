// Package classify says what a customer's text is about and how it is meant: polarity, the parts of the taxonomy it
// mentions, intent, churn risk, urgency, effort.
//
// One text passes through in four steps. It is cut into tokens and clauses once; every token is looked up once in one
// trie that holds all words and phrases of the data files; the hits give, per clause, valence under negation, emphasis
// and contrast, and the cues of the taxonomy; from these the labels are read off. Nothing is remembered between texts,
// no clock and no network is used, and the same text gives the same labels on every machine.
//
// Beside the rules, words, pairs of words and runs of letters are hashed into two tables of trained 8-bit weights, read in
// the same pass: one for polarity, one for the topic heads (intent, element, stage, junk, churn), which see the rules'
// answers among their features.
//
// Everything the classifier knows about words lies in the files under data, with their sources in data/SOURCES.md. The
// code knows only how words act on each other. [Classifier.Model] names rules and weights: a new file is a new model.
//
// What it refuses to do: it never marks a customer as a trouble-maker, never drops a text for its tone, and never claims
// to read a language it has no words for: such a text is neutral with low confidence unless an emoji or a rating says
// more. English is trained, Chinese has cues, 17 languages have word lists.
package classify
