package classify

import (
	"reflect"
	"strings"
	"testing"
	"time"
)

func TestLabelledFilesAreEvaluatedAsPeopleSaveThem(t *testing.T) {
	c := mustLoad(t)
	plain := "{\"text\":\"delicious food\",\"label\":\"positive\"}\n{\"text\":\"it is a chair\",\"label\":\"neutral\"}\n{\"text\":\"terrible food\",\"label\":\"negative\"}\n"
	want, err := c.Evaluate(strings.NewReader(plain), AxisAuto, stands)
	if err != nil || want.N != 3 || want.Axis != AxisPolarity {
		t.Fatalf("%+v, %v", want, err)
	}
	for claim, file := range map[string]string{
		"byte order mark and CR LF":     "\ufeff" + strings.ReplaceAll(plain, "\n", "\r\n"),
		"capitals and blanks in labels": strings.NewReplacer(`"positive"`, `" POSITIVE"`, `"neutral"`, `"Neutral "`).Replace(plain),
		"blanks around the objects":     strings.ReplaceAll(plain, "\n", " \n \n\t"),
	} {
		if got, err := c.Evaluate(strings.NewReader(file), AxisAuto, stands); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %+v, %v; want %+v", claim, got, err, want)
		}
	}
	long, err := c.Evaluate(strings.NewReader(`{"text":"`+strings.Repeat("x", MaxLine)+"\"}\n"+plain), AxisAuto, stands)
	if err != nil || long.N != 3 || long.TooLong != 1 || !strings.Contains(long.String(), "longer than 4194304 bytes: 1 lines") {
		t.Errorf("a line too long costs more than itself, or is hidden: %+v, %v", long, err)
	}
	for file, want := range map[string]string{
		plain + "{":                            "line 4: is no JSON object: unexpected end",
		plain + `"positive"`:                   "line 4: is no object in braces, but: string",
		plain + `{"text":"x","label":5}`:       "line 4: label is of the type number, want string",
		plain + `{"review":"x","label":"ham"}`: "line 4: has no text",
		"\n" + `{"text":"x","label":"Blue"}`:   `line 2 has "Blue", want one of negative, neutral, positive, very_negative, very_positive`,
		"\ufeff":                               "there are no rows",
	} {
		if _, err := c.Evaluate(strings.NewReader(file), AxisAuto, stands); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", file[max(0, len(file)-40):], err, want)
		}
	}
}

// stands is a clock for evaluations whose speed does not matter.
func stands() time.Time { return time.Time{} }
