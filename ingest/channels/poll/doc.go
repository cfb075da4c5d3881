// Package poll fetches feedback from providers that do not push it: app stores, review sites, forums, trackers.
//
// A round of one source goes like this. [Poller.Round] loads the source's cursor, asks the provider's API page by page,
// newest first or from the cursor on, has the channel's adapter read each page, publishes what the cursor does not know,
// and saves the cursor when the log has everything. A round that is killed is repeated by the next one under the same
// identities, so nothing is lost and nothing is stored twice.
//
// It refuses to follow: no redirect, and no link to another host than the one the operator named, so that a provider
// cannot be made to send our token, or us, elsewhere.
package poll
