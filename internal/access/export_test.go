package access

import "strings"

// Text is what a policy's fingerprint is of.
func (p *Policy) Text() string {
	var text strings.Builder
	p.describe(&text)
	return text.String()
}
