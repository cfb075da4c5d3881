package privacy

import "strings"

// checks are the check digits by the names that files of patterns use. Each is given a number without separators.
func checks() map[string]func(string) bool {
	return map[string]func(string) bool{
		"none":          func(string) bool { return true },
		"luhn":          func(s string) bool { return luhn(s[max(0, len(s)-10):]) || luhn(s) },
		"mod97":         func(s string) bool { return remainder97(s) == 1 },
		"iso7064-11-10": iso7064mod11and10,
		"iso7064-11-2":  iso7064mod11and2,
		"verhoeff":      verhoeff,
		"ean13":         func(s string) bool { return len(s) == 13 && weighted(s, "1313131313131", 10) == 0 },
		"dni":           dni,
		"bsn":           func(s string) bool { return len(s) == 9 && s != "000000000" && elevens(s) },
		"nir":           nir,
		"pesel":         func(s string) bool { return len(s) == 11 && weighted(s, "13791379131", 10) == 0 },
		"cpf":           cpf,
		"nrn":           nrn,
		"rrn":           rrn,
	}
}

// luhn is the check of payment cards (ISO/IEC 7812-1).
func luhn(s string) bool {
	sum := 0
	for i := range len(s) {
		d := int(s[len(s)-1-i] - '0')
		if d < 0 || d > 9 {
			return false
		}
		if i%2 == 1 {
			if d *= 2; d > 9 {
				d -= 9
			}
		}
		sum += d
	}
	return len(s) > 1 && sum%10 == 0
}

// remainder97 is the number modulo 97, letters counting as 10 to 35 (ISO/IEC 7064); −1 where it is no number.
func remainder97(s string) int {
	rest := 0
	for i := range len(s) {
		switch c := s[i]; {
		case digit(c):
			rest = (rest*10 + int(c-'0')) % 97
		case c >= 'A' && c <= 'Z':
			rest = (rest*100 + int(c-'A') + 10) % 97
		default:
			return -1
		}
	}
	return rest
}

func weighted(s, weights string, modulus int) int {
	sum := 0
	for i := range len(s) {
		sum += int(s[i]-'0') * int(weights[i]-'0')
	}
	return sum % modulus
}

// iso7064mod11and10 is the check of the German tax number; of its first ten digits one is there twice or thrice.
func iso7064mod11and10(s string) bool {
	if len(s) != 11 {
		return false
	}
	product := 10
	for i := range 10 {
		sum := (int(s[i]-'0') + product) % 10
		if sum == 0 {
			sum = 10
		}
		product = sum * 2 % 11
	}
	return (11-product)%10 == int(s[10]-'0')
}

// iso7064mod11and2 is the check of the Chinese resident identity number (GB 11643).
func iso7064mod11and2(s string) bool {
	sum := 0
	for i := range len(s) - 1 {
		sum = (sum + int(s[i]-'0')) * 2 % 11
	}
	last := 10 // X
	if c := s[len(s)-1]; digit(c) {
		last = int(c - '0')
	}
	return (sum+last)%11 == 1
}

// verhoeff is the check of Aadhaar: the dihedral group of order ten, with Verhoeff's permutation.
func verhoeff(s string) bool {
	const permutation = "1576283094"
	c := 0
	for i := range len(s) {
		d := int(s[len(s)-1-i] - '0')
		for range i % 8 {
			d = int(permutation[d] - '0')
		}
		c = dihedral(c, d)
	}
	return c == 0
}

// dihedral multiplies two elements of the dihedral group of the pentagon: 0–4 are rotations, 5–9 reflections.
func dihedral(a, b int) int {
	switch {
	case a < 5 && b < 5:
		return (a + b) % 5
	case a < 5:
		return 5 + (a+b)%5
	case b < 5:
		return 5 + (a-b)%5
	default:
		return (a - b + 5) % 5
	}
}

// dni is the check letter of the Spanish DNI and NIE.
func dni(s string) bool {
	first := strings.IndexByte("XYZ", s[0])
	if first >= 0 {
		s = string(rune('0'+first)) + s[1:]
	}
	n := 0
	for i := range len(s) - 1 {
		if !digit(s[i]) {
			return false
		}
		n = n*10 + int(s[i]-'0')
	}
	return "TRWAGMYFPDXBNJZSQVHLCKE"[n%23] == s[len(s)-1]
}

// elevens is the eleven-test of the Dutch BSN.
func elevens(s string) bool {
	sum := -int(s[8] - '0')
	for i := range 8 {
		sum += int(s[i]-'0') * (9 - i)
	}
	return sum%11 == 0
}

// nir is the key of the French social security number: 97 less the number modulo 97, Corsica's letters as 19 and 18.
func nir(s string) bool {
	if len(s) != 15 {
		return false
	}
	body := strings.NewReplacer("2A", "19", "2B", "18").Replace(s[:13])
	key := int(s[13]-'0')*10 + int(s[14]-'0')
	return 97-remainder97(body) == key
}

// cpf has two check digits modulo 11.
func cpf(s string) bool {
	if len(s) != 11 || strings.Count(s, s[:1]) == 11 {
		return false
	}
	for n := 9; n <= 10; n++ {
		sum := 0
		for i := range n {
			sum += int(s[i]-'0') * (n + 1 - i)
		}
		if sum*10%11%10 != int(s[n]-'0') {
			return false
		}
	}
	return true
}

// nrn is the Belgian number: 97 less its first nine digits modulo 97, with a 2 before them for whoever was born after 1999.
func nrn(s string) bool {
	if len(s) != 11 || s[2:4] > "12" || s[4:6] > "31" {
		return false
	}
	key := int(s[9]-'0')*10 + int(s[10]-'0')
	return 97-remainder97(s[:9]) == key || 97-remainder97("2"+s[:9]) == key
}

// rrn is the check of the Korean number, as those have it that were given before October 2020; later ones have none, and
// are known by their form.
func rrn(s string) bool { return len(s) == 13 }
