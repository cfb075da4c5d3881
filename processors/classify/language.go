package classify

import (
	"strings"
	"unicode"
)

// script is a writing system as far as it tells languages apart.
type script uint8

const (
	scriptNone script = iota
	scriptLatin
	scriptHan
	scriptKana
	scriptHangul
	scriptCyrillic
	scriptArabic
	scriptHebrew
	scriptGreek
	scriptThai
	scriptDevanagari
	scriptOther
	scriptCount
)

// unspaced says whether the script is written without spaces between words.
func (s script) unspaced() bool { return s == scriptHan || s == scriptKana || s == scriptThai }

// scriptLanguage is what a script alone says of the language. Scripts that many languages share give "und" with the
// script's own subtag.
var scriptLanguage = [scriptCount]string{scriptKana: "ja", scriptHangul: "ko", scriptCyrillic: "und-Cyrl", scriptArabic: "und-Arab",
	scriptHebrew: "he", scriptGreek: "el", scriptThai: "th", scriptDevanagari: "und-Deva", scriptOther: "und"}

func scriptOf(r rune) script {
	switch {
	case r < 0x80:
		if r|0x20 >= 'a' && r|0x20 <= 'z' {
			return scriptLatin
		}
		return scriptNone
	case r < 0x250:
		if unicode.IsLetter(r) {
			return scriptLatin
		}
		return scriptNone
	case r >= 0x4E00 && r <= 0x9FFF, r >= 0x3400 && r <= 0x4DBF, r >= 0x20000 && r <= 0x2FFFF:
		return scriptHan
	case r >= 0x3041 && r <= 0x30FF:
		return scriptKana
	case r >= 0xAC00 && r <= 0xD7A3:
		return scriptHangul
	case !unicode.IsLetter(r):
		return scriptNone
	case r >= 0x400 && r < 0x530:
		return scriptCyrillic
	case r >= 0x600 && r < 0x780:
		return scriptArabic
	case r >= 0x590 && r < 0x600:
		return scriptHebrew
	case r >= 0x370 && r < 0x400:
		return scriptGreek
	case r >= 0xE00 && r < 0xE80:
		return scriptThai
	case r >= 0x900 && r < 0x980:
		return scriptDevanagari
	case r >= 0x1E00 && r < 0x1F00:
		return scriptLatin
	}
	return scriptOther
}

// language returns the language of the text: the channel's word if given, else by script, else by common words.
func (a *analysis) language(given string) string {
	if given = strings.TrimSpace(given); names(given) {
		return given
	}
	if a.letters == 0 {
		return "und"
	}
	if kana := a.scripts[scriptKana]; kana > 0 && kana*5 >= a.han {
		return "ja"
	}
	best, most := scriptNone, 0
	for sc := scriptLatin; sc < scriptCount; sc++ {
		n := a.scripts[sc]
		switch sc {
		case scriptLatin:
			n += a.latin
		case scriptHan:
			n = a.han * 3 // one character says about as much as three letters
		}
		if n > most {
			best, most = sc, n
		}
	}
	switch best {
	case scriptNone:
		return "und"
	case scriptHan:
		return "zh"
	case scriptLatin:
		return a.latinLanguage()
	}
	return scriptLanguage[best]
}

// names says whether a tag names a language by the shape that BCP 47 gives it: "English" does not, nor do the codes for several
// languages, none, and one that is not known.
func names(tag string) bool {
	base := tag
	if i := strings.IndexAny(tag, "-_"); i >= 0 {
		base = tag[:i]
	}
	if len(base) < 2 || len(base) > 3 {
		return false
	}
	for i := range len(base) {
		if c := base[i] | 0x20; c < 'a' || c > 'z' {
			return false
		}
	}
	for _, none := range [...]string{"und", "mul", "mis", "zxx", "xx"} {
		if strings.EqualFold(base, none) {
			return false
		}
	}
	return true
}

// latinLanguage goes by common words, of which one that no other language has counts twice; a text with none is "en" when most of
// its words are known English words.
func (a *analysis) latinLanguage() string {
	best, most := -1, 0
	for i, n := range a.common {
		if n > most {
			best, most = i, n
		}
	}
	words := 0
	for i := range a.tokens {
		if a.tokens[i].kind == wordToken {
			words++
		}
	}
	if best >= 0 && most == 2 && a.distinct == int32(best) && a.known*2 > words {
		return "en" // one foreign word among English ones is a loan: "very nice produit"
	}
	if best >= 0 && (a.commonNames[best] == "en" || most >= 2 && most*8 >= words) {
		return a.commonNames[best]
	}
	if words > 0 && a.known*2 >= words {
		return "en"
	}
	return "und"
}

// romanised says whether a text of a language with a script of its own is in Latin letters: what can be read of it are its
// English words.
func (a *analysis) romanised() bool {
	if 2*a.latin <= a.letters {
		return false
	}
	switch base(a.lang) {
	case "zh", "ja", "ko", "ar", "hi", "th", "ru", "und":
		return true
	}
	return false
}

// base returns the language of a tag without region or script, as ISO 639-1 writes it where it has a code.
func base(lang string) string {
	if i := strings.IndexAny(lang, "-_"); i >= 0 {
		lang = lang[:i]
	}
	lang = strings.ToLower(lang) // tags are the same in any case (RFC 5646, 2.1.1)
	switch lang {
	case "eng":
		return "en"
	case "zho", "chi", "cmn", "yue":
		return "zh"
	case "ara":
		return "ar"
	case "deu", "ger":
		return "de"
	case "spa":
		return "es"
	case "fra", "fre":
		return "fr"
	case "hin":
		return "hi"
	case "ind":
		return "id"
	case "ita":
		return "it"
	case "jpn":
		return "ja"
	case "kor":
		return "ko"
	case "nld", "dut":
		return "nl"
	case "pol":
		return "pl"
	case "por":
		return "pt"
	case "rus":
		return "ru"
	case "swe":
		return "sv"
	case "tha":
		return "th"
	case "tur":
		return "tr"
	case "vie":
		return "vi"
	}
	return lang
}

// reader returns the words and the part of the sentiment table that a language is read with. A text of an unknown language
// in Latin letters is read as English: what the lists do not know then weighs nothing.
func (c *Classifier) reader(lang string) (*table, region) {
	base := base(lang)
	switch base {
	case "en":
		return c.table, english
	case "zh":
		return c.table, foreign
	case "und":
		// A script that several languages share is read with the words of the largest of them.
		switch lang {
		case "und":
			return c.table, english
		case "und-Cyrl":
			base = "ru"
		case "und-Arab":
			base = "ar"
		case "und-Deva":
			base = "hi"
		}
	}
	if t := c.lexicons[base]; t != nil {
		return t, foreign
	}
	return c.empty, foreign
}
