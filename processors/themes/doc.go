// Package themes finds what a tenant's customers speak of beyond the seeded taxonomy, and finds it again in new texts.
//
// [Discover] goes over the texts of one tenant twice. It counts words and phrases by the customers who use them, keeps
// those that the unhappy use more than the rest (log-odds with an informative Dirichlet prior, Monroe et al. 2008) or that
// more customers use in the last period than before by more than chance, leaves out what a seeded theme says already, and
// puts phrases that occur together into one theme. A theme that was there before keeps its id, its name and what a person
// decided about it. The result is a [Book]: all themes of a tenant under one version number.
//
// [Book.Mark] is the other half: one text passes through it after classification, and its labels get the themes whose
// phrases it holds. A theme is put on the mention that speaks in the same sentence; where there is none, on a mention of
// its own without an element, which counts in no score.
//
// Scripts without spaces (Chinese, Japanese, Thai) are read by characters, in phrases of two to four. Everything is a
// function of its arguments: the same texts and book give the same book.
package themes
