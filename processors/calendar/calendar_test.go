package calendar

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"
	_ "time/tzdata"
)

func parse(t testing.TB, tenant string) []Hours {
	t.Helper()
	list, err := Parse([]byte(`{"tenants":{"acme":` + tenant + `}}`))
	if err != nil {
		t.Fatal(err)
	}
	return list[0].Hours(2026, 2027)
}

const everyDay = `{"mon":[%[2]s],"tue":[%[2]s],"wed":[%[2]s],"thu":[%[2]s],"fri":[%[2]s],"sat":[%[2]s],"sun":[%[2]s]}`

// Business time between two moments, where zones change, over holidays and midnights. Expected values are by hand.
func TestBusinessTime(t *testing.T) {
	daily := func(zone, spans string) string {
		return fmt.Sprintf(`{"time_zone":%q,"hours":`+everyDay+`}`, zone, spans)
	}
	office := `{"time_zone":"Europe/Berlin","hours":{"mon":["09:00-12:30","13:30-18:00"],"tue":["09:00-18:00"],"fri":["09:00-18:00"]},"holidays":["2026-04-03"],"special":{"2026-12-24":["09:00-12:00"]}}`
	for _, c := range []struct{ claim, calendar, from, to, want string }{
		{"within a span", office, "2026-06-01T08:00:00Z", "2026-06-01T09:30:00Z", "1h30m"},
		{"over lunch", office, "2026-06-01T10:00:00Z", "2026-06-01T12:00:00Z", "1h"},
		{"from evening to morning", office, "2026-06-01T15:30:00Z", "2026-06-02T07:15:00Z", "45m"},
		{"over closed days", office, "2026-06-02T15:00:00Z", "2026-06-05T08:00:00Z", "2h"},
		{"over a holiday", office, "2026-04-02T07:00:00Z", "2026-04-06T08:00:00Z", "1h"},
		{"a day with hours of its own", office, "2026-12-24T00:00:00Z", "2026-12-24T23:00:00Z", "3h"},
		{"winter is an hour later in UTC than summer", office, "2026-01-05T08:00:00Z", "2026-01-05T09:00:00Z", "1h"},
		{"Berlin, the night an hour is skipped", daily("Europe/Berlin", `"00:00-24:00"`), "2026-03-28T23:00:00Z", "2026-03-29T22:00:00Z", "23h"},
		{"Berlin, that night, open from 01:00 to 05:00", daily("Europe/Berlin", `"01:00-05:00"`), "2026-03-28T20:00:00Z", "2026-03-29T20:00:00Z", "3h"},
		{"Berlin, that night, closing at a time that does not exist", daily("Europe/Berlin", `"01:00-02:30"`), "2026-03-28T20:00:00Z", "2026-03-29T20:00:00Z", "1h"},
		{"Berlin, that night, opening at a time that does not exist", daily("Europe/Berlin", `"02:30-05:00"`), "2026-03-28T20:00:00Z", "2026-03-29T20:00:00Z", "2h"},
		{"Berlin, the night an hour comes twice", daily("Europe/Berlin", `"00:00-24:00"`), "2026-10-24T22:00:00Z", "2026-10-25T23:00:00Z", "25h"},
		{"Berlin, that night, open from 01:00 to 05:00", daily("Europe/Berlin", `"01:00-05:00"`), "2026-10-24T20:00:00Z", "2026-10-25T20:00:00Z", "5h"},
		{"Berlin, that night, spans that touch in the hour that comes twice", daily("Europe/Berlin", `"01:00-02:30","02:30-05:00"`), "2026-10-24T20:00:00Z", "2026-10-25T20:00:00Z", "5h"},
		{"New York, where it is skipped on another day", daily("America/New_York", `"00:00-24:00"`), "2026-03-08T05:00:00Z", "2026-03-09T04:00:00Z", "23h"},
		{"Lord Howe, where half an hour is skipped", daily("Australia/Lord_Howe", `"00:00-24:00"`), "2026-10-03T13:30:00Z", "2026-10-04T13:00:00Z", "23h30m"},
		{"Shanghai, where nothing is", daily("Asia/Shanghai", `"09:00-18:00"`), "2026-03-29T00:00:00Z", "2026-03-30T00:00:00Z", "9h"},
		{"over midnight", daily("Asia/Shanghai", `"22:00-02:00"`), "2026-03-29T15:00:00Z", "2026-03-29T17:30:00Z", "2h30m"},
		{"over midnight into a holiday", `{"time_zone":"UTC","hours":{"mon":["22:00-02:00"]},"special":{"2026-06-02":[]}}`, "2026-06-01T00:00:00Z", "2026-06-03T00:00:00Z", "4h"},
	} {
		hours := parse(t, c.calendar)
		from, _ := time.Parse(time.RFC3339, c.from)
		to, _ := time.Parse(time.RFC3339, c.to)
		want, _ := time.ParseDuration(c.want)
		if got := Worked(hours, to) - Worked(hours, from); got != want {
			t.Errorf("%s: %v, want %v", c.claim, got, want)
		}
		if want > 0 {
			if due := Due(hours, from, want); due.After(to) || Worked(hours, due)-Worked(hours, from) != want {
				t.Errorf("%s: %v of open time after %v end at %v, want by %v", c.claim, want, from, due, to)
			}
		}
	}
}

// The hours are what the clock on the wall says, minute by minute, wherever no hour is skipped or doubled within a span.
func TestHoursAreWhatTheWallSays(t *testing.T) {
	for _, zone := range []string{"Europe/Berlin", "America/Sao_Paulo", "Asia/Kolkata", "Australia/Lord_Howe", "Pacific/Chatham", "UTC"} {
		loc, err := time.LoadLocation(zone)
		if err != nil {
			t.Fatal(err)
		}
		hours := parse(t, fmt.Sprintf(`{"time_zone":%q,"hours":{"mon":["09:00-12:30","13:30-18:00"],"wed":["00:00-24:00"],"sat":["20:00-23:00"]}}`, zone))
		at := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
		sum := Worked(hours, at)
		for ; at.Year() == 2026; at = at.Add(time.Minute) {
			if got := Worked(hours, at); got != sum {
				t.Fatalf("%s: %v worked before %v, the wall says %v", zone, got, at, sum)
			}
			wall := at.In(loc)
			minute := wall.Hour()*60 + wall.Minute()
			switch wall.Weekday() {
			case time.Monday:
				if minute >= 540 && minute < 750 || minute >= 810 && minute < 1080 {
					sum += time.Minute
				}
			case time.Wednesday:
				sum += time.Minute
			case time.Saturday:
				if minute >= 1200 && minute < 1380 {
					sum += time.Minute
				}
			}
		}
	}
}

// Time only adds up: whatever the calendar, hours are in order, do not overlap, and Due undoes Worked.
func TestDueUndoesWorked(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	hours := parse(t, `{"time_zone":"America/New_York","hours":{"mon":["00:00-03:00","05:00-24:00"],"sun":["01:00-02:15","02:15-04:00"],"thu":["23:00-01:00"]},"holidays":["2026-11-23"]}`)
	for i := 1; i < len(hours); i++ {
		if !hours[i].Opens.After(hours[i-1].Closes) || hours[i].Before != hours[i-1].Before+hours[i-1].Closes.Sub(hours[i-1].Opens) {
			t.Fatalf("hours %d and %d: %+v %+v", i-1, i, hours[i-1], hours[i])
		}
	}
	for range 2000 {
		since := time.Date(2026, 1, 2, 0, 0, 0, 0, time.UTC).Add(time.Duration(rnd.IntN(300*24*3600)) * time.Second)
		allowed := time.Duration(1+rnd.IntN(100*3600)) * time.Second
		due := Due(hours, since, allowed)
		if got := Worked(hours, due) - Worked(hours, since); got != allowed {
			t.Fatalf("%v after %v is %v, where %v were worked", allowed, since, due, got)
		}
		if Worked(hours, due.Add(-time.Second))-Worked(hours, since) >= allowed {
			t.Fatalf("%v after %v is %v, which is not the first moment", allowed, since, due)
		}
	}
	if due := Due(hours, time.Date(2026, 12, 31, 0, 0, 0, 0, time.UTC), 1000*time.Hour); !due.IsZero() {
		t.Errorf("due %v after the last hours", due)
	}
}

func TestFaultsOfACalendarAreNamedAtOnce(t *testing.T) {
	_, err := Parse([]byte(`{"tenants":{"acme":{"time_zone":"Berlin","hours":{"monday":[],"tue":["9-5"],"wed":["09:00-12:00","11:00-13:00"],"thu":["25:00-26:00"]},
		"holidays":["2026-02-30","2026-05-01"],"special":{"2026-05-01":["09:00-10:00"]},"clock":"sun","targets":{"first_response":"soon"},"channels":{"pigeon":{}}}}}`))
	for _, want := range []string{`tenant "acme"`, `"Berlin"`, `no day "monday"`, `"9-5" is no span`, `begins before the span`, `"25:00-26:00"`, `"2026-02-30" is no date`,
		"2026-05-01 is a holiday as well", `clock is "sun"`, `first_response is "soon"`, `no channel "pigeon"`} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q is missing from: %v", want, err)
		}
	}
	for _, bad := range []string{``, `{}`, `[]`, `{"tenants":{}}`, `{"tenants":{"a":{"zone":"UTC"}}}`, `{"tenants":{"a":{"time_zone":"UTC"}}} x`,
		`{"tenants":{"a":{"time_zone":"UTC","hours":{"mon":[]}}}}`, `{"tenants":{"a":{"time_zone":"UTC","holidays":["2026-01-01"]}}}`} {
		if _, err := Parse([]byte(bad)); err == nil {
			t.Errorf("%s was taken", bad)
		}
	}
	list, err := Parse([]byte(Example))
	if err != nil || len(list) != 1 || list[0].Targets[FirstResponse] != 4*3600 {
		t.Errorf("the example in the errors is none: %v %v", list, err)
	}
}

func TestDayAndNightHasNoHours(t *testing.T) {
	if hours := parse(t, `{"time_zone":"UTC"}`); hours != nil || Revision(hours) != 0 {
		t.Errorf("got %v", hours)
	}
	a, b := parse(t, `{"time_zone":"UTC","hours":{"mon":["09:00-10:00"]}}`), parse(t, `{"time_zone":"UTC","hours":{"mon":["09:00-10:01"]}}`)
	if Revision(a) == Revision(b) || Revision(a) != Revision(a) || Revision(a) == 0 {
		t.Error("a revision does not name the hours")
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(Example))
	f.Add([]byte(`{"tenants":{"a":{"time_zone":"Europe/Berlin","hours":{"sun":["02:00-03:00"]},"special":{"2026-10-25":["02:30-02:30"]}}}}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		list, err := Parse(text)
		if err != nil {
			return
		}
		for i := range list {
			last := time.Time{}
			for _, h := range list[i].Hours(2026, 2027) {
				if !h.Opens.After(last) || !h.Closes.After(h.Opens) {
					t.Fatalf("%s: hours overlap or are empty at %v", text, h.Opens)
				}
				last = h.Closes
			}
		}
	})
}
