package privacy_test

import (
	"fmt"
	"math/rand/v2"
	"strings"

	"github.com/earshot/earshot/processors/privacy"
)

// corpus makes texts of which it is known where personal data is. It writes numbers the way people and forms of their
// countries write them, with valid check digits of its own making, between sentences of nine languages, and puts beside
// them what looks alike and is no personal data: order and parcel numbers, prices, dates, versions, addresses of machines.
type corpus struct {
	r      *rand.Rand
	abroad []string // telephone numbers are written like these, in English sentences; nil: as where a language is spoken
}

// phone is a telephone number as it is written where a language is spoken.
func (c *corpus) phone(lang string) string {
	if c.abroad != nil {
		return c.fill(c.pick(c.abroad...))
	}
	return c.fill(c.pick(phones[lang]...))
}

// part is a piece of a text; typ is "" where it is not personal.
type part struct {
	text string
	typ  privacy.Type
}

func (c *corpus) digits(n int) string {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte('0' + c.r.IntN(10))
	}
	return string(b)
}

func (c *corpus) from(lo, hi int) string { return fmt.Sprint(lo + c.r.IntN(hi-lo+1)) }

func (c *corpus) pick(of ...string) string { return of[c.r.IntN(len(of))] }

// fill replaces every 'd' of a form by a digit, 'n' by one from 2 to 9, 'x' by one from 1 to 9.
func (c *corpus) fill(form string) string {
	b := []byte(form)
	for i := range b {
		switch b[i] {
		case 'd':
			b[i] = byte('0' + c.r.IntN(10))
		case 'n':
			b[i] = byte('2' + c.r.IntN(8))
		case 'x':
			b[i] = byte('1' + c.r.IntN(9))
		}
	}
	return string(b)
}

// phones are ways to write telephone numbers, as guides and web forms of the countries show them.
var phones = map[string][]string{
	"en": {"(ndd) ndd-dddd", "ndd-ndd-dddd", "ndd.ndd.dddd", "+1 ndd ndd dddd", "1-800-ndd-dddd", "+1 (ndd) ndd-dddd", "07ddd dddddd", "+44 7ddd dddddd",
		"020 7ddd dddd", "0161 ddd dddd", "+44 (0)20 7ddd dddd", "04dd ddd ddd", "+61 4dd ddd ddd", "(02) 9ddd dddd", "+353 8d ddd dddd", "+91 9dddd ddddd", "ndd ndd dddd"},
	"de": {"0171 ddddddd", "0151/dddddddd", "+49 171 ddddddd", "+49 (0)30 ddddddd", "030 / xddddddd", "089-xddddddd", "(0221) xdddddd", "0711 xddddd-d", "0049 160 ddddddd",
		"015dxddddddd", "+43 664 ddddddd", "079 ddd dd dd", "+41 79 ddd dd dd", "044 ddd dd dd"},
	"fr": {"06 dd dd dd dd", "07.dd.dd.dd.dd", "01 dd dd dd dd", "+33 6 dd dd dd dd", "06dddddddd", "0033 6 dd dd dd dd", "+33 (0)4 dd dd dd dd", "+32 47d dd dd dd", "047d dd dd dd"},
	"es": {"6dd ddd ddd", "6dd dd dd dd", "+34 6dd ddd ddd", "9dd dd dd dd", "6dddddddd", "+52 55 dddd dddd", "+54 9 11 dddd-dddd"},
	"it": {"+39 3dd ddddddd", "3dd ddddddd", "02 dddd dddd", "06 ddddddd", "3dd ddd dddd", "+39 02 ddddddd"},
	"pt": {"9dd ddd ddd", "+351 9dd ddd ddd", "(11) 9dddd-dddd", "+55 21 9dddd-dddd", "11 9dddd-dddd"},
	"zh": {"138dddddddd", "159dddddddd", "186 dddd dddd", "010-6ddddddd", "021-5ddddddd", "0755-8ddddddd", "+86 139 dddd dddd", "+86-10-6ddddddd", "400-ddd-dddd"},
	"ja": {"090-dddd-dddd", "080-dddd-dddd", "03-xddd-dddd", "+81 90-dddd-dddd", "06-xddd-dddd"},
	"pl": {"6dd ddd ddd", "+48 5dd ddd ddd", "(22) ddd dd dd", "22 ddd dd dd", "+48 22 ddd dd dd"},
	"nl": {"06-dddddddd", "06 dddddddd", "+31 6 dddddddd", "020-xdddddd", "0031 6 dddddddd"},
}

// foreign are ways to write telephone numbers in countries that the rules were not written for; the sentences around them
// are English. They were added after the rules were done, and no rule was changed for them.
var foreign = []string{"20 dd dd dd", "+45 31 dd dd dd", "60d ddd ddd", "06 30 ddd dddd", "053d ddd dd dd", "8 (916) ddd-dd-dd", "69d ddd dddd", "054-ddd-dddd", "011 15-dddd-dddd",
	"082 ddd dddd", "021 ddd dddd", "0812-dddd-dddd", "0912 ddd ddd", "081-ddd-dddd", "9ddd dddd", "050 ddd dddd", "010 dddd dddd", "0803 ddd dddd", "55 dddd dddd",
	"9 dddd dddd", "301 ddd dddd", "+90 53d ddd dd dd", "+7 916 ddd-dd-dd", "+65 9ddd dddd", "+234 803 ddd dddd"}

// sentences hold one %s for what is said in them; those of a list speak of what the list is named for.
var sentences = map[string]map[string][]string{
	"en": {
		"phone": {"You can call me on %s after six.", "My number is %s.", "Please phone %s, nobody answers my mails.", "mobile: %s", "reach me at %s", "I rang from %s twice yesterday.", "Ring me back, %s, thanks"},
		"email": {"Write to %s please.", "my address is %s", "I used %s to sign up.", "Contact: %s."},
		"card":  {"I paid with my card %s and was charged twice.", "Card number %s was declined.", "You took it from %s!"},
		"iban":  {"Refund to %s please.", "My IBAN is %s.", "transfer the money to %s today"},
		"other": {"Order %s never arrived.", "Tracking says %s is still in transit.", "It cost %s and broke at once.", "Since version %s it crashes.", "I bought it on %s.", "ticket %s was closed without a word", "Invoice %s is wrong.", "I waited from %s for nothing."},
		"fill":  {"The parcel arrived crushed.", "Great service, very friendly staff!", "Nobody answered for three days.", "I will buy elsewhere.", "Size 42 fits well.", "2 of 3 cups were broken."},
	},
	"de": {
		"phone": {"Bitte rufen Sie mich unter %s an.", "Meine Nummer: %s", "Telefon %s", "Handy %s, ab 18 Uhr.", "Sie erreichen mich auf %s."},
		"email": {"Schreiben Sie an %s.", "Meine Adresse ist %s", "Konto läuft auf %s."},
		"card":  {"Ich habe mit der Karte %s bezahlt.", "Kreditkarte %s wurde doppelt belastet."},
		"iban":  {"Bitte überweisen Sie auf %s.", "IBAN: %s", "Mein Konto %s wurde belastet."},
		"other": {"Bestellung %s ist nie angekommen.", "Sendungsnummer %s hängt fest.", "Das hat %s gekostet.", "Seit Version %s stürzt es ab.", "Gekauft am %s.", "Rechnung %s stimmt nicht."},
		"fill":  {"Das Paket kam beschädigt an.", "Sehr freundliche Beratung!", "Drei Tage keine Antwort.", "Größe 42 passt."},
	},
	"fr": {
		"phone": {"Appelez-moi au %s.", "Mon numéro est le %s", "Tél : %s", "joignable au %s le soir"},
		"email": {"Écrivez à %s.", "mon adresse : %s"},
		"card":  {"J'ai payé avec la carte %s.", "Ma carte %s a été débitée deux fois."},
		"iban":  {"Remboursez sur %s.", "IBAN %s"},
		"other": {"La commande %s n'est jamais arrivée.", "Le colis %s est bloqué.", "Ça m'a coûté %s.", "Depuis la version %s ça plante.", "Acheté le %s."},
		"fill":  {"Le colis est arrivé écrasé.", "Personnel très aimable.", "Aucune réponse depuis trois jours."},
	},
	"es": {
		"phone": {"Llámenme al %s.", "Mi teléfono es %s", "móvil %s"},
		"email": {"Escriban a %s.", "mi correo es %s"},
		"card":  {"Pagué con la tarjeta %s."},
		"iban":  {"Devuelvan el dinero a %s."},
		"other": {"El pedido %s no ha llegado.", "El paquete %s está perdido.", "Me costó %s.", "Lo compré el %s."},
		"fill":  {"El paquete llegó roto.", "Muy amables.", "Nadie contesta."},
	},
	"it": {
		"phone": {"Chiamatemi al %s.", "Il mio numero è %s", "cellulare %s"},
		"email": {"Scrivete a %s."},
		"card":  {"Ho pagato con la carta %s."},
		"iban":  {"Il rimborso su %s, grazie."},
		"other": {"L'ordine %s non è arrivato.", "Costa %s.", "Comprato il %s."},
		"fill":  {"Pacco rovinato.", "Personale gentile."},
	},
	"pt": {
		"phone": {"Liguem para %s.", "Meu telefone: %s"},
		"email": {"Escrevam para %s."},
		"card":  {"Paguei com o cartão %s."},
		"iban":  {"Devolvam para %s."},
		"other": {"A encomenda %s não chegou.", "Custou %s.", "Comprei em %s."},
		"fill":  {"Chegou amassado.", "Muito simpáticos."},
	},
	"zh": {
		"phone": {"请打我电话%s。", "我的手机号是%s", "联系我：%s，谢谢"},
		"email": {"请发到%s。", "我的邮箱是 %s"},
		"card":  {"我用银行卡%s付的款。"},
		"iban":  {"退款到 %s"},
		"other": {"订单号%s一直没到。", "快递单号：%s", "花了%s，太贵了。", "%s买的。"},
		"fill":  {"包装破了。", "客服态度很好！", "等了三天没人回复。"},
	},
	"ja": {
		"phone": {"電話は%sです。", "携帯 %s"},
		"email": {"%s に返信してください。"},
		"card":  {"カード %s で払いました。"},
		"iban":  {"返金は %s へ。"},
		"other": {"注文番号 %s が届きません。", "%sに買いました。"},
		"fill":  {"箱が潰れていました。", "対応が丁寧でした。"},
	},
	"pl": {
		"phone": {"Proszę dzwonić: %s", "Mój numer to %s"},
		"email": {"Proszę pisać na %s."},
		"card":  {"Zapłaciłem kartą %s."},
		"iban":  {"Zwrot na konto %s."},
		"other": {"Zamówienie %s nie dotarło.", "Kosztowało %s.", "Kupione %s."},
		"fill":  {"Paczka uszkodzona.", "Miła obsługa."},
	},
	"nl": {
		"phone": {"Bel mij op %s.", "Mijn nummer is %s"},
		"email": {"Mail naar %s."},
		"card":  {"Betaald met kaart %s."},
		"iban":  {"Graag terug op %s."},
		"other": {"Bestelling %s is er niet.", "Het kostte %s.", "Gekocht op %s."},
		"fill":  {"Doos was kapot.", "Heel vriendelijk."},
	},
}

var languages = []string{"en", "en", "en", "de", "de", "fr", "es", "it", "pt", "zh", "ja", "pl", "nl"}

func (c *corpus) email() string {
	name := c.pick("ann", "j.smith", "maria_lopez", "k-weber", "li.wei88", "sales+shop", "o'neil", "Jörg.Müller", "info", "bob99", "a.b.c", "dupont.jean")
	host := c.pick("example.com", "mail.example.org", "gmx.example.de", "kunde.example", "shop-online.example.co.uk", "qq.example.cn", "münchen.example", "EXAMPLE.NET")
	if c.r.IntN(25) == 0 {
		return name + "(at)" + host
	}
	return name + "@" + host
}

// luhnDigit is the check digit of a card.
func luhnDigit(s string) string {
	sum := 0
	for i := len(s) - 1; i >= 0; i-- {
		d := int(s[i] - '0')
		if (len(s)-1-i)%2 == 0 {
			d = d*2/10 + d*2%10
		}
		sum += d
	}
	return fmt.Sprint((10 - sum%10) % 10)
}

func (c *corpus) card() string {
	prefix, length := "4", 16
	switch c.r.IntN(6) {
	case 0:
		prefix = c.from(51, 55)
	case 1:
		prefix, length = c.pick("34", "37"), 15
	case 2:
		prefix = "6011"
	case 3:
		prefix = c.from(2221, 2720)
	case 4:
		prefix = "62"
	}
	n := prefix + c.digits(length-1-len(prefix))
	n += luhnDigit(n)
	sep := c.pick("", " ", "-", "")
	if sep == "" {
		return n
	}
	if length == 15 {
		return n[:4] + sep + n[4:10] + sep + n[10:]
	}
	return n[:4] + sep + n[4:8] + sep + n[8:12] + sep + n[12:]
}

// mod97 is a long number modulo 97, letters as two digits.
func mod97(s string) int {
	rest := 0
	for _, ch := range s {
		if ch >= 'A' {
			rest = (rest*100 + int(ch-'A') + 10) % 97
		} else {
			rest = (rest*10 + int(ch-'0')) % 97
		}
	}
	return rest
}

func (c *corpus) iban() string {
	forms := map[string]string{"DE": "dddddddddddddddddd", "GB": "BARCdddddddddddddd", "FR": "ddddddddddddddddddddddd", "NL": "INGBdddddddddd", "ES": "dddddddddddddddddddd",
		"IT": "Xdddddddddddddddddddddd", "AT": "dddddddddddddddd", "CH": "ddddddddddddddddd", "PL": "dddddddddddddddddddddddd", "BE": "dddddddddddd"}
	country := c.pick("DE", "DE", "GB", "FR", "NL", "ES", "IT", "AT", "CH", "PL", "BE")
	bban := c.fill(forms[country])
	n := fmt.Sprintf("%s%02d%s", country, 98-mod97(bban+country+"00"), bban)
	if c.r.IntN(2) == 0 {
		return n
	}
	var b strings.Builder
	for i := range len(n) {
		if i > 0 && i%4 == 0 {
			b.WriteByte(' ')
		}
		b.WriteByte(n[i])
	}
	return b.String()
}

// nationalID is a number with its sentence: such numbers are given when they are asked for.
func (c *corpus) nationalID() (sentence, number string) {
	switch c.r.IntN(8) {
	case 0:
		return "My SSN is %s.", c.from(101, 665) + "-" + c.from(10, 99) + "-" + c.from(1000, 9999)
	case 1:
		return "National insurance number %s", c.pick("AB", "JK", "SM") + " " + c.digits(2) + " " + c.digits(2) + " " + c.digits(2) + " " + c.pick("A", "B", "C", "D")
	case 2:
		n := 10_000_000 + c.r.IntN(89_999_999)
		return "Mi DNI es %s.", fmt.Sprint(n) + string("TRWAGMYFPDXBNJZSQVHLCKE"[n%23])
	case 3:
		body := c.pick("1", "2") + c.from(40, 99) + "0" + c.from(1, 9) + c.from(10, 95) + c.from(100, 999) + c.from(100, 999)
		return "Mon numéro de sécurité sociale : %s", body + fmt.Sprintf("%02d", 97-mod97(body))
	case 4:
		body := "11010119" + c.from(50, 99) + "0" + c.from(1, 9) + c.from(10, 28) + c.digits(3)
		weights, sum := []int{7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2}, 0
		for i, w := range weights {
			sum += w * int(body[i]-'0')
		}
		return "身份证号%s", body + string("10X98765432"[sum%11])
	case 5:
		body := c.digits(9)
		for range 2 {
			sum := 0
			for i := range len(body) {
				sum += int(body[i]-'0') * (len(body) + 1 - i)
			}
			body += fmt.Sprint(sum * 10 % 11 % 10)
		}
		return "CPF: %s", body[:3] + "." + body[3:6] + "." + body[6:9] + "-" + body[9:]
	case 6:
		body := c.from(50, 99) + "0" + c.from(1, 9) + c.from(10, 28) + c.digits(4)
		sum := 0
		for i, w := range []int{1, 3, 7, 9, 1, 3, 7, 9, 1, 3} {
			sum += w * int(body[i]-'0')
		}
		return "PESEL %s", body + fmt.Sprint((10-sum%10)%10)
	}
	body := "756" + c.digits(9)
	sum := 0
	for i := range len(body) {
		sum += int(body[i]-'0') * (1 + 2*(i%2))
	}
	n := body + fmt.Sprint((10-sum%10)%10)
	return "AHV-Nummer %s", n[:3] + "." + n[3:7] + "." + n[7:11] + "." + n[11:]
}

// lookalike is something with digits that is nobody's.
func (c *corpus) lookalike() string {
	switch c.r.IntN(18) {
	case 0:
		return c.fill("xddddddddd")
	case 1:
		return c.fill("xdd-ddddddd-ddddddd")
	case 2:
		return "1Z" + c.fill("ddd") + "AA" + c.fill("dddddddddd")
	case 3:
		return c.fill("00340434dddddddddddd")
	case 4:
		return c.pick("€", "$", "£") + c.fill("x,ddd.dd")
	case 5:
		return c.fill("x.ddd,dd") + c.pick(" €", " EUR", "€")
	case 6:
		return c.from(1, 28) + "." + c.from(1, 12) + ".20" + c.from(10, 26)
	case 7:
		return "20" + c.from(10, 26) + "-0" + c.from(1, 9) + "-" + c.from(10, 28)
	case 8:
		return c.from(1, 12) + "/" + c.from(13, 28) + "/20" + c.from(10, 26)
	case 9:
		return c.from(1, 20) + "." + c.from(0, 30) + "." + c.from(0, 9) + "." + c.from(100, 9999)
	case 10:
		return "192.168." + c.from(0, 255) + "." + c.from(1, 254)
	case 11:
		return "978-" + c.fill("x-dddd-dddd-d")
	case 12:
		return "#" + c.fill("xddddddd")
	case 13:
		return c.pick("AB-", "RE", "INV-", "SO") + c.fill("xddddddd")
	case 14:
		return c.from(8, 12) + ":" + c.from(10, 59) + c.pick("–", "-", " - ") + c.from(13, 20) + ":" + c.from(10, 59)
	case 15:
		return c.fill("xddddddddddddd")
	case 16:
		return "20" + c.from(10, 26) + "0" + c.from(1, 9) + c.from(10, 28) + c.fill("dddddd")
	}
	return c.fill("xdddddddddd")
}

// text makes one text of up to four sentences.
func (c *corpus) text() (string, []privacy.Span) {
	lang := languages[c.r.IntN(len(languages))]
	if c.abroad != nil {
		lang = "en"
	}
	own := sentences[lang]
	var b strings.Builder
	var gold []privacy.Span
	say := func(sentence, what string, typ privacy.Type) {
		before, after, _ := strings.Cut(sentence, "%s")
		b.WriteString(before)
		if typ != "" {
			gold = append(gold, privacy.Span{Start: b.Len(), End: b.Len() + len(what), Type: typ})
		}
		b.WriteString(what)
		b.WriteString(after)
		b.WriteString(c.pick(" ", " ", "\n"))
	}
	for range 1 + c.r.IntN(4) {
		switch n := c.r.IntN(20); {
		case n < 5:
			say(c.pick(own["fill"]...), "", "")
		case n < 10:
			say(c.pick(own["other"]...), c.lookalike(), "")
		case n < 14:
			say(c.pick(own["phone"]...), c.phone(lang), privacy.Phone)
		case n < 16:
			say(c.pick(own["email"]...), c.email(), privacy.Email)
		case n < 17:
			say(c.pick(own["card"]...), c.card(), privacy.Card)
		case n < 18:
			say(c.pick(own["iban"]...), c.iban(), privacy.IBAN)
		case n < 19:
			sentence, number := c.nationalID()
			say(sentence, number, privacy.NationalID)
		default: // a telephone number at the end, as people sign
			say("%s", c.phone(lang), privacy.Phone)
		}
	}
	return b.String(), gold
}

// The rules were written with an eye on texts of other seeds; these texts were not looked at.
const (
	heldOut = 4_471
	abroad  = 8_209
)
