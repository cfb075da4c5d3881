package classify

import (
	"fmt"
	"math/bits"
	"slices"
	"strings"
)

// modKind is how a word acts on the valence of its neighbours.
type modKind uint8

const (
	noMod     modKind = iota
	negate            // turns the words after it
	boost             // strengthens (value > 1) or dampens (value < 1) the words after it
	contrast          // "but": what follows counts more, what came before less
	concede           // "although": its own clause counts less
	despite           // the same of a thing: what it concedes ends where a new subject begins
	condition         // "if", "would", "hope": said of what is not
	whole             // a word whose first character means nothing by itself: 快递 is a parcel, 快 is fast
)

// node is one state of the trie: what is known of the pattern that ends here.
type node struct {
	valence    float32 // in the unit of valence.*.tsv, about −4 … 4
	hasValence bool
	mod        modKind
	modValue   float32
	common     bool  // a frequent English word
	cue        int32 // first of a chain in table.cues, −1: none
	sense      int32 // first of a chain in table.senses, −1: none
	gap        int32 // state after a gap of up to gapTokens tokens, 0: none
	kids       bool
	number     bool // of the root's edges only: the word is a number, "three"
	rates      bool // of the root's edges only: the word may begin a rating, as a number in any language
	subject    bool // of the root's edges only: the word may begin a sentence's subject, "the"
}

// gapTokens is how many tokens a "~" in a pattern may stand for.
const gapTokens = 3

// cue ties a pattern to a theme.
type cue struct {
	theme    int32
	polarity float32 // own polarity, valid if own
	own      bool
	next     int32
}

// sense ties a pattern to a class of senses.tsv.
type sense struct {
	class  int32
	weight float32
	note   string
	next   int32
}

// table is the trie of all patterns, its edges in one hash table keyed by the state and the next token's hash.
type table struct {
	nodes  []node
	cues   []cue
	senses []sense
	edges  []edge
	slots  []uint64 // tags and states of the edges, 0: free; twice as many lie in a line of memory as there would of edges
	mask   uint64
}

// edge leads to a state.
type edge struct {
	key uint64
	to  int32
}

// A slot holds the upper bits of an edge's key, its tag, and the state that it leads to. The place of the slot tells of the
// lower bits. A word that is in no pattern is taken for one with a chance below 1 in 10¹².
const stateBits = 24

// newTable returns an empty table with room for so many states; it grows beyond them.
func newTable(states int) *table {
	t := &table{nodes: append(make([]node, 0, states), node{cue: -1, sense: -1}), edges: make([]edge, 0, states)}
	t.grow(1 << bits.Len(uint(3*states)))
	return t
}

// edgeKey mixes a state and a token into the key of an edge.
func edgeKey(state int32, hash uint64) uint64 {
	hi, lo := bits.Mul64(hash^0x9E3779B97F4A7C15, (uint64(uint32(state))+1)*0xD6E8FEB86659FD93|1)
	return hi ^ lo
}

func (t *table) grow(n int) {
	t.slots, t.mask = make([]uint64, n), uint64(n-1)
	for _, e := range t.edges {
		t.put(e)
	}
}

func (t *table) put(e edge) {
	i := e.key & t.mask
	for t.slots[i] != 0 {
		i = (i + 1) & t.mask
	}
	t.slots[i] = e.key>>stateBits<<stateBits | uint64(e.to)
}

// step returns the state after reading a token in a state, 0 if no pattern goes on that way.
func (t *table) step(state int32, hash uint64) int32 {
	key := edgeKey(state, hash)
	for i := key & t.mask; ; i = (i + 1) & t.mask {
		if s := t.slots[i]; s>>stateBits == key>>stateBits || s == 0 {
			return int32(s & (1<<stateBits - 1))
		}
	}
}

func (t *table) extend(state int32, hash uint64) int32 {
	if to := t.step(state, hash); to != 0 {
		return to
	}
	to := t.newNode()
	e := edge{edgeKey(state, hash), to}
	if t.edges = append(t.edges, e); len(t.edges)*3 > len(t.slots) {
		t.grow(2 * len(t.slots))
	} else {
		t.put(e)
	}
	t.nodes[state].kids = true
	return to
}

func (t *table) newNode() int32 {
	t.nodes = append(t.nodes, node{cue: -1, sense: -1})
	return int32(len(t.nodes) - 1)
}

// path returns the state of a sequence of hashes; gapMark stands for a gap.
func (t *table) path(seq []uint64) int32 {
	var state int32
	for _, h := range seq {
		if h == gapMark {
			if t.nodes[state].gap == 0 {
				to := t.newNode()
				t.nodes[state].gap = to
			}
			state = t.nodes[state].gap
			continue
		}
		state = t.extend(state, h)
	}
	return state
}

const gapMark = 1

// expand turns a pattern into the token sequences it stands for. A pattern is a row of elements: a word; words with "|"
// between them, of which one must stand there; a word with endings, "refund/s/ed" (the bare word or any ending);
// "#", a number in digits or words; "#worst" to "#best", a rating (ratings.tsv); "@", a user's name; "~", up to gapTokens tokens of any kind.
func expand(pattern string) ([][]uint64, error) {
	seqs := [][]uint64{nil}
	for _, elem := range strings.Fields(pattern) {
		var alts [][]uint64
		switch elem {
		case "@":
			alts = [][]uint64{{userHash}}
		case "~":
			alts = [][]uint64{{gapMark}}
		default:
			for _, alt := range strings.Split(elem, "|") {
				if alt == "#" {
					alts = append(alts, []uint64{numHash})
					continue
				}
				if r := namedRate(alt); r != 0 {
					alts = append(alts, []uint64{r.hash()})
					continue
				}
				stem, endings, _ := strings.Cut(alt, "/")
				words := []string{stem}
				for _, e := range strings.Split(endings, "/") {
					if e != "" {
						words = append(words, stem+e)
					}
				}
				for _, w := range words {
					seq := hashes(w)
					if len(seq) == 0 {
						return nil, fmt.Errorf("element %q holds no word", elem)
					}
					alts = append(alts, seq)
				}
			}
		}
		if len(seqs)*len(alts) > 5000 {
			return nil, fmt.Errorf("pattern %q stands for more than 5000 phrases; split it", pattern)
		}
		out := make([][]uint64, 0, len(seqs)*len(alts))
		for _, s := range seqs {
			for _, a := range alts {
				out = append(out, slices.Concat(s, a))
			}
		}
		seqs = out
	}
	if len(seqs) == 1 && len(seqs[0]) == 0 {
		return nil, fmt.Errorf("the pattern is empty")
	}
	for _, s := range seqs {
		if s[0] == gapMark || s[len(s)-1] == gapMark {
			return nil, fmt.Errorf("pattern %q begins or ends with a gap", pattern)
		}
	}
	return seqs, nil
}

// hashes cuts s as a text is cut.
func hashes(s string) []uint64 {
	var sc scanner
	sc.scan(s, func(string) int { return 0 })
	out := make([]uint64, len(sc.tokens))
	for i := range sc.tokens {
		out[i] = sc.tokens[i].hash
	}
	return out
}
