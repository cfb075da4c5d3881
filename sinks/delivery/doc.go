// Package delivery tells people of alerts: through an Alertmanager, a signed webhook, a Slack channel, PagerDuty or mail.
//
// One alert passes through it like this. Somebody who keeps an outbox hands a [Notification] to a [Receiver], once when
// the alert begins and once when it is over, and again under the same key when an attempt failed or its end was not noted.
// The receiver makes of it what its other side documents, and says of a failure whether it is final ([Error]). The address
// it connects to is checked after the name was resolved ([Guard]), so that no name leads into the own network unless it is
// allowed by address.
//
// The package refuses to follow redirects, to retry by itself, and to show a secret: neither an error nor a log line
// carries one.
package delivery
