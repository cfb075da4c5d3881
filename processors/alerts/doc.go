// Package alerts decides when a person is called: what is unusual in the counts of negative feedback, and what became of
// an alert that was raised.
//
// One evaluation passes through it like this. A [Rule] names a scope, a detector and what it takes to fire. Counts of a
// window come in as a [Reading] and the counts of past weeks as a [Series], from which [Fit] makes a [Baseline]. A
// detector is a pure function of the two; it returns a [Verdict], whose [Reason] says in one word why. [State.Next] takes
// the verdicts of one moment and moves each cell from inactive over pending and firing to resolved; what follows from
// that, an announcement or a delivery, is listed in the state, so that it happens once even when the process is killed in
// between. [Evaluator.Step] does all this against a store and a journal, at a time that the caller gives.
//
// The package refuses to know the time, the network or who is called. It counts customers, not messages: what one author
// sends ten times is one. It says nothing about a cell it knows for less than a week ([ColdStart]), and a surge of
// feedback whose share of negatives is as always is not a negative spike ([VolumeOnly]).
package alerts
