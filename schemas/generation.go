package schemas

import (
	"errors"
	"time"
)

// Generations says which classification of the rows is live and what is being done about it: one record for all shards,
// changed by compare-and-swap, so that two processes never do two things to it.
type Generations struct {
	Live     uint32      `json:"live"`               // what workers write and views show, until Change is shown
	Previous uint32      `json:"previous,omitempty"` // what was live before and can be again; 0: nothing is kept
	Since    time.Time   `json:"since,omitzero"`     // of the last switch
	Newest   uint32      `json:"newest"`             // the highest number ever given; none is given twice
	Change   *Generation `json:"change,omitempty"`   // what is under way; nil: nothing
}

// Generation is one that is being built beside the live one, or being switched to.
type Generation struct {
	To     uint32       `json:"to"`
	Carry  bool         `json:"carry,omitempty"`  // rows keep the labels they have: the way back to Previous
	Moving bool         `json:"moving,omitempty"` // the switch has begun: whoever finds this finishes it
	Shown  bool         `json:"shown,omitempty"`  // the views were switched: shards may be at work in it
	Model  string       `json:"model,omitempty"`  // of the classifier that makes the labels
	Owner  string       `json:"owner"`            // random name of the process at work
	Inbox  string       `json:"inbox,omitempty"`  // subject at which it answers while it lives
	Began  time.Time    `json:"began,omitzero"`
	Places []Place      `json:"places,omitempty"` // how far each stream's rows are brought in
	Plan   *Plan        `json:"plan,omitempty"`   // of the range that is being brought in; nil: none
	Labels []Relabelled `json:"labels,omitempty"` // what the rows up to Places were and are
	Failed uint64       `json:"failed,omitempty"` // rows whose classification failed: they keep the labels they had
}

// Shown is the generation that the views are to show.
func (g *Generations) Shown() uint32 {
	if g.Change != nil && g.Change.Shown {
		return g.Change.To
	}
	return g.Live
}

// Place is how far the rows of one stream are in a generation.
type Place struct {
	Shard int    `json:"shard"`
	Epoch string `json:"epoch"`
	Hi    uint64 `json:"hi"`   // last sequence, its row included if there is one
	Rows  uint64 `json:"rows"` // up to Hi
}

// Relabelled counts the rows that had one label on an axis and have another, or the same, after classification.
type Relabelled struct {
	Axis string `json:"axis"` // polarity, intent or element
	Was  string `json:"was"`
	Is   string `json:"is"`
	Rows uint64 `json:"rows"`
}

// ErrBuilding says that another process, which is alive, is at work on the generations.
var ErrBuilding = errors.New("another process is at work on the generations: wait for it, or stop it and run this again; it goes on where that one was")
