// Package train fits the linear heads of the classifier: [Train] from labelled rows of many sources, [Adapt] from the
// corrections of one tenant with the shipped weights as prior. Both are pure: equal rows give equal models, bit for bit
// on one architecture. What a model was made of is written into its card.
package train
