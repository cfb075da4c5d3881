package classify

import (
	"unicode"
	"unicode/utf8"
)

// tokenKind says what a token is made of.
type tokenKind uint8

const (
	wordToken tokenKind = iota
	numberToken
	hanToken    // one character of a script without spaces: Chinese, Japanese, Thai
	symbolToken // an emoji or an emoticon
	userToken   // @name
	linkToken   // a web or mail address
)

// token is one word, number, character or symbol of the text.
type token struct {
	hash       uint64 // of the lower-cased letters without apostrophes; numHash for numbers
	start, end uint32 // bytes of the text
	segment    int32
	root       int32 // state of the general table after this token alone
	kind       tokenKind
	caps       bool  // two letters or more, all capital
	number     bool  // a number in words
	rates      bool  // a number in words of any language
	rated      uint8 // the rating that begins here and its number of tokens; 0: none
	subject    bool  // may begin a sentence's subject
	turns      bool  // turns what follows, or begins what stands against what came before
	long       bool  // a letter was repeated three times or more: "sooo"
}

// more says whether the token stands for more than its word: for a number, or for a rating.
func (t *token) more() bool { return t.number || t.rated != 0 }

// segment is a run of tokens between two punctuation marks.
type segment struct {
	first, last int32 // tokens [first, last)
	mark        byte  // what ended it: ',' '.' '!' '?' or 0 at the end of the text
	sentence    int32
}

const (
	fnvOffset = 14695981039346656037
	fnvPrime  = 1099511628211
)

// Hashes of the pattern elements that stand for a class of tokens. No word has them: words hash letters.
const (
	numHash  = 0x9d3f_1a77_0b5c_e2f1
	userHash = 0x51ab_03d9_7c44_0e8d
	linkHash = 0xc7e2_99b1_5510_4f03
)

func addByte(h uint64, b byte) uint64 { return (h ^ uint64(b)) * fnvPrime }

func addRune(h uint64, r rune) uint64 {
	if r < utf8.RuneSelf {
		return addByte(h, byte(r))
	}
	var b [4]byte
	for _, c := range b[:utf8.EncodeRune(b[:], r)] {
		h = addByte(h, c)
	}
	return h
}

// byte classes of ASCII
const (
	classSpace = iota
	classLetter
	classDigit
	classApostrophe
	classPunct
	classAt
	classMark // ends a segment
)

var asciiClass = func() (c [128]uint8) {
	for i := range c {
		switch b := byte(i); {
		case b >= 'a' && b <= 'z', b >= 'A' && b <= 'Z':
			c[i] = classLetter
		case b >= '0' && b <= '9':
			c[i] = classDigit
		case b == '\'':
			c[i] = classApostrophe
		case b == '@':
			c[i] = classAt
		case b == '\n', b == '.', b == ',', b == '!', b == '?', b == ';', b == ':', b == '(', b == ')', b == '|':
			c[i] = classMark
		case b > ' ' && b < 127:
			c[i] = classPunct
		}
	}
	return c
}()

// scanner cuts a text into tokens and segments. It is reused from a pool: nothing of a text survives a call.
type scanner struct {
	tokens   []token
	segments []segment

	exclaims, questions int
	han, latin, letters int // letters counts every letter, han and latin their own
	kana, hangul        int
	scripts             [scriptCount]int
	sentence            int32
	first               int32
}

// scan fills s from text. emoticon reports the bytes of an emoticon that starts at the head of its argument, 0 if none.
func (s *scanner) scan(text string, emoticon func(string) int) {
	s.tokens, s.segments = s.tokens[:0], s.segments[:0]
	s.exclaims, s.questions, s.han, s.latin, s.letters, s.kana, s.hangul = 0, 0, 0, 0, 0, 0, 0
	s.scripts = [scriptCount]int{}
	s.sentence, s.first = 0, 0
	for i := 0; i < len(text); {
		b := text[i]
		if b >= utf8.RuneSelf {
			i = s.scanRune(text, i)
			continue
		}
		switch asciiClass[b] {
		case classLetter, classDigit:
			i = s.word(text, i)
		case classAt:
			j := i + 1
			for j < len(text) && (text[j] == '_' || text[j] < utf8.RuneSelf && (asciiClass[text[j]] == classLetter || asciiClass[text[j]] == classDigit)) {
				j++
			}
			if j > i+1 {
				s.push(token{hash: userHash, start: uint32(i), end: uint32(j), kind: userToken})
			}
			i = j
		case classMark, classPunct:
			if n := s.emoticon(text, i, emoticon); n > 0 {
				i += n
				continue
			}
			if b == '<' {
				if n, block := tagLength(text[i:]); n > 0 {
					if block {
						s.cut('.')
					}
					i += n
					continue
				}
			}
			i = s.mark(text, i)
		default:
			i++
		}
	}
	s.cut(0)
}

// emoticon takes ":)" and its like, which begin at a punctuation mark that does not follow a word directly.
func (s *scanner) emoticon(text string, i int, find func(string) int) int {
	switch text[i] {
	case ':', ';', '=', '<', '(', '^', '-', '>':
	default:
		return 0
	}
	n := find(text[i:])
	if n > 0 {
		h := uint64(fnvOffset)
		for _, c := range []byte(text[i : i+n]) {
			h = addByte(h, c)
		}
		s.push(token{hash: h, start: uint32(i), end: uint32(i + n), kind: symbolToken})
	}
	return n
}

func (s *scanner) push(t token) {
	t.segment = int32(len(s.segments))
	s.tokens = append(s.tokens, t)
}

// cut ends a segment. A segment without tokens is not kept, but its mark strengthens the one before.
func (s *scanner) cut(mark byte) {
	n := int32(len(s.tokens))
	if n == s.first {
		if k := len(s.segments); k > 0 && mark != ',' && mark != 0 {
			if s.segments[k-1].mark == ',' {
				s.sentence++
			}
			if s.segments[k-1].mark != '?' {
				s.segments[k-1].mark = mark
			}
		}
		return
	}
	s.segments = append(s.segments, segment{first: s.first, last: n, mark: mark, sentence: s.sentence})
	s.first = n
	if mark != ',' {
		s.sentence++
	}
}

// mark handles one ASCII punctuation byte and returns the index after it.
func (s *scanner) mark(text string, i int) int {
	b := text[i]
	next := byte(' ')
	if i+1 < len(text) {
		next = text[i+1]
	}
	switch b {
	case '!':
		s.exclaims++
		s.cut('!')
	case '?':
		s.questions++
		s.cut('?')
	case '\n', ';':
		s.cut('.')
	case '.':
		if next < utf8.RuneSelf && asciiClass[next] == classLetter {
			s.cut(',') // "arrived.nobody" is two clauses, "amazon.com" is none the worse for it
		} else {
			s.cut('.')
		}
	case ',', ':', '(', ')', '|':
		s.cut(',')
	case '-':
		if next == '-' || i > 0 && text[i-1] == ' ' && next == ' ' {
			s.cut(',')
		}
	}
	return i + 1
}

// word takes a word or a number that starts with an ASCII letter or digit, and any address.
func (s *scanner) word(text string, i int) int {
	if n := linkLength(text[i:]); n > 0 {
		s.push(token{hash: linkHash, start: uint32(i), end: uint32(i + n), kind: linkToken})
		return i + n
	}
	if asciiClass[text[i]] == classDigit {
		return s.number(text, i)
	}
	return s.letterRun(text, i)
}

func (s *scanner) number(text string, i int) int {
	j := i
	for j < len(text) && text[j] < utf8.RuneSelf {
		c := asciiClass[text[j]]
		inner := (text[j] == '.' || text[j] == ',' || text[j] == ':' || text[j] == '/') && j+1 < len(text) &&
			text[j+1] >= '0' && text[j+1] <= '9'
		if c != classDigit && !inner {
			break
		}
		j++
	}
	s.push(token{hash: numHash, start: uint32(i), end: uint32(j), kind: numberToken})
	return j
}

// letterRun takes a run of letters of any alphabet but Chinese. A letter repeated three times or more counts twice, so
// that "sooooo" and "sooo" are one word.
func (s *scanner) letterRun(text string, i int) int {
	h := uint64(fnvOffset)
	j, letters, upper, run := i, 0, 0, 0
	var last rune
	t := token{start: uint32(i), kind: wordToken}
loop:
	for j < len(text) {
		r, n := rune(text[j]), 1
		if r < utf8.RuneSelf {
			switch asciiClass[r] {
			case classLetter:
				s.latin++
				if r < 'a' {
					upper++
					r += 'a' - 'A'
				}
			case classDigit:
			case classApostrophe:
				if j+1 < len(text) && text[j+1] < utf8.RuneSelf && asciiClass[text[j+1]] == classLetter {
					j++
					continue
				}
				break loop
			default:
				break loop
			}
		} else {
			r, n = utf8.DecodeRuneInString(text[j:])
			if r == '’' || r == 'ʼ' {
				if j+n < len(text) && text[j+n] < utf8.RuneSelf && asciiClass[text[j+n]] == classLetter {
					j += n
					continue
				}
				break
			}
			sc := scriptOf(r)
			if sc == scriptNone || sc.unspaced() {
				if r >= 0x300 && r < 0x370 || r >= 0x610 && r < 0x660 { // accents and Arabic vowel signs belong to the letter before
					j += n
					continue
				}
				if r >= 0x900 && r < 0xE00 && unicode.IsMark(r) { // vowel signs of Indian scripts are part of the word
					h = addRune(h, r)
					j += n
					continue
				}
				break
			}
			s.scripts[sc]++
			if unicode.IsUpper(r) {
				upper++
			}
			r = unicode.ToLower(r)
		}
		letters++
		j += n
		if r == last {
			run++
			if run >= 3 {
				t.long = true
				continue
			}
		} else {
			last, run = r, 1
		}
		h = addRune(h, r)
	}
	s.letters += letters
	t.hash, t.end, t.caps = h, uint32(j), letters >= 2 && upper == letters
	s.push(t)
	return j
}

// scanRune handles whatever starts with a byte outside ASCII; text may hold invalid UTF-8, which counts as space.
func (s *scanner) scanRune(text string, i int) int {
	r, n := utf8.DecodeRuneInString(text[i:])
	if r == utf8.RuneError && n == 1 {
		return i + 1
	}
	switch r {
	case '。', '；', '．', '｡':
		s.cut('.')
		return i + n
	case '…':
		s.cut('.')
		return i + n
	case '！':
		s.exclaims++
		s.cut('!')
		return i + n
	case '？', '؟':
		s.questions++
		s.cut('?')
		return i + n
	case '，', '、', '：', '（', '）', '—', '–', '~', '～', '،':
		s.cut(',')
		return i + n
	case 0xfe0f, 0x200d:
		return i + n
	}
	switch sc := scriptOf(r); sc {
	case scriptHan, scriptKana, scriptThai: // written without spaces: every character is a token
		if sc == scriptHan {
			s.han++
		} else {
			s.scripts[sc]++
		}
		s.letters++
		h, j := addRune(fnvOffset, simplified(r)), i+n
		for sc == scriptThai { // vowels and tones above and below a letter are part of it: ดี is good, ดุ is fierce
			mark, size := utf8.DecodeRuneInString(text[j:])
			if mark < 0xE00 || mark >= 0xE80 || !unicode.IsMark(mark) {
				break
			}
			h, j = addRune(h, mark), j+size
		}
		s.push(token{hash: h, start: uint32(i), end: uint32(j), kind: hanToken})
		return j
	case scriptNone:
		if isEmoji(r) {
			s.push(token{hash: addRune(fnvOffset, r), start: uint32(i), end: uint32(i + n), kind: symbolToken})
		}
		return i + n
	}
	if j := s.letterRun(text, i); j > i {
		return j
	}
	return i + n
}

func isEmoji(r rune) bool {
	return r >= 0x1F000 && r <= 0x1FAFF && !(r >= 0x1F3FB && r <= 0x1F3FF) || r >= 0x2600 && r <= 0x27BF || r == 0x2B50 || r == 0x2B55
}
