// Package token makes and verifies subject tokens: who asks, until when, and that somebody who holds the tenant's key
// says so. It is pure: it reads no clock, no store and no request. The same check in SQL is crm_access.subject.
//
// A token is subject.expiry.mac: the name of a user, Unix seconds in decimal, and in lower-case hexadecimal the
// HMAC-SHA256 of "crm-access-token/v1\n" tenant "\n" subject.expiry. Each has one spelling: who compares tokens as text
// compares what they say.
package token

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"

	"github.com/crmaccess/crm-access-operator/internal/schedule"
)

// MaxLifetime is the longest that a token is minted for, in seconds. A key that mints no more verifies for as long.
const MaxLifetime schedule.Instant = 3600

const (
	purpose = "crm-access-token/v1\n"
	// maxName is the longest name of an object in Kubernetes.
	maxName = 253
	// maxDigits leaves expiries far below what overflows.
	maxDigits = 12
	// maxLength is the longest token there is.
	maxLength = maxName + 1 + maxDigits + 1 + 2*sha256.Size
)

// Mint makes a token by which its bearer is the subject until expiry.
func Mint(key Key, tenant, subject string, now, expiry schedule.Instant) (string, error) {
	switch {
	case !isName(tenant):
		return "", fmt.Errorf("minting a token: the tenant %q is not the name of a namespace", tenant)
	case !isName(subject):
		return "", fmt.Errorf("minting a token: the subject %q is not the name of a user", subject)
	case expiry <= now || expiry > now+MaxLifetime:
		return "", fmt.Errorf("minting a token for %s: it would last %d seconds; want 1 to %d", subject, expiry-now, MaxLifetime)
	case !key.Live(now):
		return "", fmt.Errorf("minting a token for %s: the key of %s has ended; take the newest", subject, tenant)
	}
	said := subject + "." + strconv.FormatInt(int64(expiry), 10)
	return said + "." + hex.EncodeToString(key.sign(tenant, said)), nil
}

// Verify says whose token it is. It is nobody's unless one of the keys that are live has signed it for the tenant and it
// has not expired; why not is not told.
func Verify(keys []Key, tenant, token string, now schedule.Instant) (subject string, ok bool) {
	said, mac, ok := split(token)
	if !ok {
		return "", false
	}
	subject, expiry, ok := read(said)
	if !ok {
		return "", false
	}
	signed := false
	for _, key := range keys {
		if key.Live(now) && hmac.Equal(mac, key.sign(tenant, said)) {
			signed = true
		}
	}
	if !signed || expiry <= now {
		return "", false
	}
	return subject, true
}

// split takes the mac off a token.
func split(token string) (said string, mac []byte, ok bool) {
	at := len(token) - 2*sha256.Size - 1
	if len(token) > maxLength || at < 0 || token[at] != '.' || token[at+1:] != strings.ToLower(token[at+1:]) {
		return "", nil, false
	}
	mac, err := hex.DecodeString(token[at+1:])
	return token[:at], mac, err == nil
}

// read takes subject and expiry apart, from the right: a name may hold dots.
func read(said string) (subject string, expiry schedule.Instant, ok bool) {
	at := strings.LastIndexByte(said, '.')
	if at < 0 || !isName(said[:at]) {
		return "", 0, false
	}
	digits := said[at+1:]
	if len(digits) == 0 || len(digits) > maxDigits || digits[0] == '0' || strings.Trim(digits, "0123456789") != "" {
		return "", 0, false
	}
	seconds, err := strconv.ParseInt(digits, 10, 64)
	return said[:at], schedule.Instant(seconds), err == nil
}

// isName says whether Kubernetes would take it as the name of an object: lower-case letters, digits, - and . between
// them. That leaves one spelling, also of what Unicode could spell in several ways.
func isName(s string) bool {
	if s == "" || len(s) > maxName || !isAlphanumeric(s[0]) || !isAlphanumeric(s[len(s)-1]) {
		return false
	}
	for i := range len(s) {
		if c := s[i]; c != '-' && c != '.' && !isAlphanumeric(c) {
			return false
		}
	}
	return true
}

func isAlphanumeric(c byte) bool { return c >= 'a' && c <= 'z' || c >= '0' && c <= '9' }
