// Package deadletter is where events rest that could not be stored, and alerts that nobody could be told of. It lists the dead letters, shows one with everything
// it holds, sends them into the log again, and notes what was decided about each.
//
// One letter passes through it like this. A worker has committed it to OUTCOMES, the server has copied it to DEADLETTERS,
// and [Box.Letters] finds it there, open. [Box.Replay] first notes by compare-and-swap in DISPOSITIONS that it is being
// replayed and how far the log reached then; it sends the original bytes and headers into the log by the way every event
// takes, with the letter's name in a header; it looks in the log for that name, and only then notes that the letter is
// replayed and where it is now. Whoever finds a letter whose replay was cut off looks in the log first, so that it is sent
// a second time only if it is not there.
//
// A delivery of an alert that was given up is a letter too. Replayed, it goes back to where deliveries wait, not into the log.
//
// The package refuses to delete: a letter stays until its stream's age is over, whatever was decided about it, because it
// is part of the account of what was accepted. It refuses to judge an event too: one that is still at fault becomes a
// letter again, of its own.
package deadletter
