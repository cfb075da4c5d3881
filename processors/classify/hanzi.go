package classify

import "strings"

// The block of Chinese characters that hanzi covers.
const firstHan, lastHan = 0x4E00, 0x9FFF

// hanzi holds, for every traditional character of traditional.tsv, the form that the other data files write; 0: it is written so.
// It stands beside the scanner and not in a [Classifier], because patterns are cut as texts are, before there is one.
var hanzi = func() (t [lastHan - firstHan + 1]uint16) {
	raw, err := embedded.ReadFile("data/traditional.tsv")
	if err != nil {
		panic(err) // the file is part of the program
	}
	for _, line := range strings.Split(string(raw), "\n") {
		plain, forms, ok := strings.Cut(line, "\t")
		if !ok || strings.HasPrefix(line, "# ") {
			continue
		}
		for _, r := range forms {
			t[r-firstHan] = uint16([]rune(plain)[0])
		}
	}
	return t
}()

// simplified returns the form of a Chinese character that the data files write.
func simplified(r rune) rune {
	if r >= firstHan && r <= lastHan {
		if s := hanzi[r-firstHan]; s != 0 {
			return rune(s)
		}
	}
	return r
}
