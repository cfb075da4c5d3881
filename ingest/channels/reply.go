package channels

import (
	"regexp"
	"strings"
)

// quoteIntro is the line with which mail programs introduce what they quote, in the languages in which we have seen it.
// It must name when and who, and end with a colon, so that a customer's own "On Friday he wrote:" is not one.
var quoteIntro = regexp.MustCompile(`(?i)^(on\b.+\bwrote|am\b.+\bschrieb\b.*|le\b.+a écrit|el\b.+escribió|il\b.+ha scritto|em\b.+escreveu|op\b.+schreef\b.*|den\b.+skrev\b.*|dnia\b.+napisał.*|.+\bписал.*|.+写道|.+のメッセージ)\s?[:：]$`)

// divider begins what a mail program put below the words: the mail before, or the sender's card.
var divider = regexp.MustCompile(`(?i)^(-{2,}\s*(original message|ursprüngliche nachricht|forwarded message|message d'origine|mensaje original|weitergeleitete nachricht)\s*-{2,}|_{20,}|sent from my \w.*|von meinem \w+ gesendet|envoyé de mon \w.*|enviado desde mi \w.*|get outlook for \w+.*|begin forwarded message:)$`)

// outlook is the head of a quoted mail as Outlook writes it.
var outlook = regexp.MustCompile(`(?i)^\*?(from|von|de|da|van):\*?\s.*[@<]`)

// replyText is what the sender of a mail wrote in it: without quoted lines, the mails below and the signature. If nothing
// would be left the whole is returned, because a mail of quotes alone is rarer than one that is taken for one.
func replyText(s string) string {
	s = plain(s)
	lines := strings.Split(s, "\n")
	var own []string
	for i := 0; i < len(lines); i++ {
		line := strings.TrimSpace(lines[i])
		if lines[i] == "--" || divider.MatchString(line) || outlook.MatchString(line) && headed(lines[i+1:]) {
			break
		}
		if strings.HasPrefix(line, ">") {
			continue
		}
		if n := introduces(lines[i:]); n > 0 {
			i += n - 1
			continue
		}
		own = append(own, lines[i])
	}
	if kept := plain(strings.Join(own, "\n")); kept != "" {
		return kept
	}
	return s
}

// introduces says how many of the lines, one or two, introduce a quotation: what follows must be quoted.
func introduces(lines []string) int {
	for n := 1; n <= 2 && n <= len(lines); n++ {
		intro := strings.TrimSpace(strings.Join(lines[:n], " "))
		if len(intro) > 300 || !quoteIntro.MatchString(intro) {
			continue
		}
		for _, next := range lines[n:] {
			if next = strings.TrimSpace(next); next != "" {
				if strings.HasPrefix(next, ">") {
					return n
				}
				break
			}
		}
	}
	return 0
}

// headed says whether the lines go on like the head of a mail.
func headed(lines []string) bool {
	for i := 0; i < len(lines) && i < 4; i++ {
		name, _, ok := strings.Cut(strings.ToLower(strings.Trim(lines[i], "* ")), ":")
		switch name {
		case "sent", "to", "subject", "date", "gesendet", "an", "betreff", "envoyé", "à", "objet", "enviado", "para", "asunto", "datum":
			if ok {
				return true
			}
		}
	}
	return false
}
