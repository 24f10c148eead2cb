package token

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"fmt"
	"slices"

	"github.com/crmaccess/crm-access-operator/internal/schedule"
)

// SecretSize is how many bytes a key has.
const SecretSize = 32

// Key signs the tokens of one tenant. However it is printed, its secret is not: fmt looks into structures without asking
// their String, and behind pointers where a verb does not fit, but it calls no function.
type Key struct {
	secret func() []byte
	// NotAfter is when it stops to count; the newest key has Forever, and alone mints.
	NotAfter schedule.Instant
}

// NewKey makes a key from the system's random numbers.
func NewKey() Key {
	secret := make([]byte, SecretSize)
	_, _ = rand.Read(secret) // never fails: it ends the process instead
	return keep(secret, schedule.Forever)
}

// KeyOf reads a key from a store.
func KeyOf(secret []byte, notAfter schedule.Instant) (Key, error) {
	if len(secret) != SecretSize {
		return Key{}, fmt.Errorf("reading a key for tokens: it has %d bytes, want %d", len(secret), SecretSize)
	}
	return keep(slices.Clone(secret), notAfter), nil
}

func keep(secret []byte, notAfter schedule.Instant) Key {
	return Key{secret: func() []byte { return secret }, NotAfter: notAfter}
}

// Secret is what a store keeps.
func (k Key) Secret() []byte { return slices.Clone(k.secret()) }

// The constants that HMAC combines a key with (RFC 2104).
const (
	innerPad = 0x36
	outerPad = 0x5c
)

// Blocks are the key as HMAC begins its two hashes with it: sha256(outer sha256(inner message)) is the mac. With them
// SQL needs no more than sha256().
func (k Key) Blocks() (inner, outer []byte) {
	inner, outer = make([]byte, sha256.BlockSize), make([]byte, sha256.BlockSize)
	copy(inner, k.secret())
	copy(outer, k.secret())
	for i := range inner {
		inner[i] ^= innerPad
		outer[i] ^= outerPad
	}
	return inner, outer
}

// KeyOfBlock reads a key from the inner one of its blocks.
func KeyOfBlock(inner []byte, notAfter schedule.Instant) (Key, error) {
	if len(inner) != sha256.BlockSize {
		return Key{}, fmt.Errorf("reading a key for tokens: its block has %d bytes, want %d", len(inner), sha256.BlockSize)
	}
	secret := make([]byte, SecretSize)
	for i := range secret {
		secret[i] = inner[i] ^ innerPad
	}
	return KeyOf(secret, notAfter)
}

// Live says whether the key counts at now.
func (k Key) Live(now schedule.Instant) bool { return k.secret != nil && now < k.NotAfter }

// String names no secret.
func (k Key) String() string { return "key for tokens, until " + k.NotAfter.String() }

func (k Key) sign(tenant, said string) []byte {
	mac := hmac.New(sha256.New, k.secret())
	mac.Write([]byte(purpose + tenant + "\n" + said))
	return mac.Sum(nil)
}
