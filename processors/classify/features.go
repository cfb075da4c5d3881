package classify

import (
	"math/bits"
	"unicode"

	"github.com/earshot/earshot/schemas"
)

// Sizes of the tables of learned weights, in bits of the hash. They were picked by the accuracy on development rows per
// byte of the program (decision 017).
const (
	SentimentBits = 18 // words, pairs of words and runs of letters, for polarity
	TopicBits     = 16 // words and pairs of words, for the other heads
)

// Runs of letters are from gramFrom to gramTo letters long, the word's own ends counted as letters.
const gramFrom, gramTo = 3, 5

// longestGram bounds the letters of one word that runs are taken from: the work per token is bounded whatever the text.
const longestGram = 24

// Salts keep a word, its negation, a pair and a run of letters apart that hash alike.
const (
	saltWord    = 0x9E3779B97F4A7C15
	saltNegated = 0xC2B2AE3D27D4EB4F
	saltPair    = 0x165667B19E3779F9
	saltGram    = 0xD6E8FEB86659FD93
)

// mix spreads a hash over all bits.
func mix(h, salt uint64) uint64 {
	hi, lo := bits.Mul64(h^salt, 0x9FB21C651E98DF25)
	return hi ^ lo
}

// EnglishPlaces are the first places of the sentiment table, those of English words.
const EnglishPlaces = 3 << (SentimentBits - 2)

// region is a part of the sentiment table. English has one of its own, so that what is learned of other languages, or
// stands by chance in their places, never moves it.
type region struct{ first, size uint64 }

var (
	english = region{0, EnglishPlaces}
	foreign = region{EnglishPlaces, 1<<SentimentBits - EnglishPlaces}
)

func (r region) id(h uint64) uint32 {
	hi, _ := bits.Mul64(h, r.size)
	return uint32(r.first + hi)
}

func topicID(h uint64) uint32 { return uint32(h << SentimentBits >> (64 - TopicBits)) }

// Features are what the linear models see of one text: places in the tables of weights, a place as often as it occurs, and
// dense features in fixed point. They exist only for training; [Classifier.Classify] adds the weights as it reads.
type Features struct {
	Words  []uint32 // of the sentiment table: words, negated words, pairs of words
	Grams  []uint32 // of the sentiment table: runs of letters
	Topics []uint32 // of the topic table: words and pairs of words

	Dense   []int32 // of polarity
	Several bool    // more than one sentence
	Rules   []int32 // of the other heads
	Learned bool    // the language has learned words for polarity
	Plain   int     // which model without learned words reads the language, as in [Classifier.Plain]
}

// Extract returns the features of a text.
func (c *Classifier) Extract(in Input) Features {
	a := c.newAnalysis()
	a.keep = &Features{}
	var l schemas.Labels
	a.byRules(&in, &l)
	v := a.document()
	a.keep.Dense, a.keep.Several = append(a.keep.Dense, v.dense[:]...), v.several
	a.keep.Rules = append(a.keep.Rules, a.rules(&l, &a.p)[:]...)
	a.keep.Learned, a.keep.Plain = a.region == english, a.plain()
	return *a.keep
}

// learn adds the weights of token i, its pair with the token before and its runs of letters to the open clause and to the
// text's topics; of a rating to the topics only.
func (a *analysis) learn(i, first int32, rating bool) {
	tok := &a.tokens[i]
	if tok.kind == symbolToken {
		return
	}
	c := &a.clauses[len(a.clauses)-1]
	word := mix(tok.hash, saltWord)
	sent := word
	if i < a.negUntil {
		sent = mix(tok.hash, saltNegated)
	}
	if !rating {
		a.addWord(c, a.region.id(sent))
	}
	a.addTopic(topicID(word))
	if i > first {
		pair := mix(bits.RotateLeft64(a.tokens[i-1].hash, 17)+tok.hash, saltPair)
		if !rating {
			a.addWord(c, a.region.id(pair))
		}
		a.addTopic(topicID(pair))
	}
	if tok.kind == wordToken && i >= a.negUntil && !rating { // "bad" in "not bad" must not say bad
		a.grams(c, a.text[tok.start:tok.end], tok.hash)
	}
}

func (a *analysis) addWord(c *clause, id uint32) {
	w := &a.heads.sentiment[id]
	c.words[0] += int32(w[0])
	c.words[1] += int32(w[1])
	c.words[2] += int32(w[2])
	c.wordCount++
	if a.keep != nil {
		a.keep.Words = append(a.keep.Words, id)
	}
}

func (a *analysis) addTopic(id uint32) {
	a.topics.add(&a.heads.topics[id])
	if a.keep != nil {
		a.keep.Topics = append(a.keep.Topics, id)
	}
}

// gramSums are the sums of weights of the runs of letters of one word, and how many runs there are.
type gramSums struct {
	sum   [3]int32
	count int32
}

// gramMemo remembers the sums of words that were read before, each in the one place that its hash gives it: a language has few
// words that come often. They are integers, so it makes no difference to a label where they come from.
type gramMemo [1 << memoBits]struct {
	word   [longestGram]byte
	length uint8 // of the word in bytes; 0: nothing is remembered here
	region region
	gramSums
}

const memoBits = 11

// grams adds the runs of letters of one word, of which hash is a hash.
func (a *analysis) grams(c *clause, word string, hash uint64) {
	if a.keep != nil || len(word) > longestGram {
		c.addGrams(a.gramsOf(word))
		return
	}
	m := &a.memo[hash*fnvPrime>>(64-memoBits)]
	if int(m.length) != len(word) || m.region != a.region || string(m.word[:len(word)]) != word {
		m.length, m.region, m.gramSums = uint8(len(word)), a.region, a.gramsOf(word)
		copy(m.word[:], word)
	}
	c.addGrams(m.gramSums)
}

func (c *clause) addGrams(g gramSums) {
	for k, s := range g.sum {
		c.grams[k] += s
	}
	c.gramCount += g.count
}

// gramsOf adds up the runs of letters of one word.
func (a *analysis) gramsOf(word string) (g gramSums) {
	var letters [longestGram + 2]uint64
	n := 1
	letters[0] = '<'
	var last rune
	run := 0
	for _, r := range word {
		if r < 0x80 {
			if r-'A' < 26 && r >= 'A' {
				r += 'a' - 'A'
			}
		} else {
			r = unicode.ToLower(r)
		}
		if r == last {
			if run++; run >= 3 {
				continue
			}
		} else {
			last, run = r, 1
		}
		if r == '\'' || r == '’' || r == 'ʼ' || r >= 0x300 && r < 0x370 {
			continue
		}
		if n > longestGram {
			break
		}
		letters[n] = uint64(r)
		n++
	}
	letters[n] = '>'
	n++
	table, in, keep := a.heads.sentiment, a.region, a.keep
	for i := 0; i+gramFrom <= n; i++ {
		h := uint64(fnvOffset)
		for j := i; j < n && j < i+gramTo; j++ {
			h = (h ^ letters[j]) * fnvPrime
			if j-i+1 < gramFrom {
				continue
			}
			id := in.id(mix(h, saltGram))
			w := &table[id]
			g.sum[0] += int32(w[0])
			g.sum[1] += int32(w[1])
			g.sum[2] += int32(w[2])
			g.count++
			if keep != nil {
				keep.Grams = append(keep.Grams, id)
			}
		}
	}
	return g
}
