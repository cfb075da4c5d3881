package schemas

import "time"

// Theme is one thing that a tenant's customers speak of. Its id stays for ever; everything else may change.
type Theme struct {
	ID      string
	Name    string
	Named   bool         // a person gave the name
	Phrases []string     // a text with one of them has the theme; none: one of the seeded taxonomy that a person changed
	Hidden  bool         // no text gets it any more
	Into    string       // merged into this one, which texts get instead; empty: not merged
	Element Element      // what the mentions beside it are mostly about; empty: nothing in particular
	Found   ThemeFigures // when it was last found
}

// ThemeFigures are what discovery saw of a theme, in different customers.
type ThemeFigures struct {
	Until     time.Time // end of the last period; zero: it was not found, but changed by a person
	Customers int       // who spoke of it in the texts looked at
	Recent    int       // in the last period
	Before    int       // in the period before
	Emergent  bool      // it grew by more than chance
	GrowthLow float64   // lower end of the 95 % interval of how many times as many of those who spoke, spoke of it; 0: not known
	Chance    float64   // of such a growth without one, corrected for the phrases looked at; 1: not known
	LogOdds   float64   // z-score of its customers among the unhappy
}

// ThemeBook is all themes of a tenant under one version. A change of any of them is a new version, from 1.
type ThemeBook struct {
	Version uint32
	Themes  []Theme
}

// Said is one thing that a customer said, with what the discovery of themes needs of its labels.
type Said struct {
	Customer string // whatever tells customers apart
	At       time.Time
	Text     string
	Unhappy  bool // negative, a complaint or a notice
	Mentions []Mention
}
