package token_test

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/crmaccess/crm-access-operator/internal/schedule"
	"github.com/crmaccess/crm-access-operator/internal/token"
)

const (
	tenant                  = "huayue"
	now    schedule.Instant = 1_700_000_000
)

func mint(t *testing.T, key token.Key, subject string, expiry schedule.Instant) string {
	t.Helper()
	made, err := token.Mint(key, tenant, subject, now, expiry)
	if err != nil {
		t.Fatal(err)
	}
	return made
}

// The vector was computed with Python's hmac, so that other languages can hold theirs against it.
func TestATokenIsWhatItsDescriptionSays(t *testing.T) {
	secret := bytes.Repeat([]byte{0x0b}, token.SecretSize)
	key, err := token.KeyOf(secret, schedule.Forever)
	if err != nil {
		t.Fatal(err)
	}
	const want = "li-ting.1700000060.d6c5a83ea215b217b2fc9aef622d495cde6a43412dba8ce0b2a633be87270268"
	if got := mint(t, key, "li-ting", now+60); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestATokenIsItsSubjectsUntilItExpires(t *testing.T) {
	key := token.NewKey()
	for _, subject := range []string{"li-ting", "a", "li.ting", "li.ting.1700000000", strings.Repeat("x", 253)} {
		made := mint(t, key, subject, now+60)
		for at, live := range map[schedule.Instant]bool{now: true, now + 59: true, now + 60: false, now + 61: false} {
			got, ok := token.Verify([]token.Key{key}, tenant, made, at)
			if ok != live || (live && got != subject) || (!live && got != "") {
				t.Errorf("%s at %s: got %q, %t", made, at, got, ok)
			}
		}
	}
}

func TestATokenThatNoLiveKeyOfTheTenantSignedIsNobodys(t *testing.T) {
	key, other, ended := token.NewKey(), token.NewKey(), token.NewKey()
	made := mint(t, key, "li-ting", now+60)
	ended.NotAfter = now
	cases := map[string]struct {
		keys   []token.Key
		tenant string
		token  string
		ok     bool
	}{
		"the key that signed":                 {[]token.Key{key}, tenant, made, true},
		"among others":                        {[]token.Key{other, key, ended}, tenant, made, true},
		"no key":                              {nil, tenant, made, false},
		"a key that is none":                  {[]token.Key{{NotAfter: schedule.Forever}}, tenant, made, false},
		"another key":                         {[]token.Key{other}, tenant, made, false},
		"another tenant":                      {[]token.Key{key}, "qingyun", made, false},
		"another subject":                     {[]token.Key{key}, tenant, strings.Replace(made, "li-ting", "wang-lei", 1), false},
		"a later expiry":                      {[]token.Key{key}, tenant, strings.Replace(made, "1700000060", "1700000061", 1), false},
		"a dot moved from subject to expiry":  {[]token.Key{key}, tenant, strings.Replace(made, "li-ting.1", "li-ting1.", 1), false},
		"the mac of a key that has ended":     {[]token.Key{key, ended}, tenant, signedBy(t, ended), false},
		"the mac of what has ended meanwhile": {[]token.Key{ended}, tenant, signedBy(t, ended), false},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			if got, ok := token.Verify(c.keys, c.tenant, c.token, now); ok != c.ok {
				t.Errorf("got %q, %t", got, ok)
			}
		})
	}
}

// signedBy mints as long as the key still counted.
func signedBy(t *testing.T, key token.Key) string {
	t.Helper()
	key.NotAfter = schedule.Forever
	return mint(t, key, "li-ting", now+60)
}

// respelt are tokens that a lenient reader would take for the same one, and a few that are none at all.
func respelt(made string) map[string]string {
	at := strings.LastIndexByte(made, '.')
	said, mac := made[:at], made[at+1:]
	return map[string]string{
		"nothing": "", "dots": "...", "no subject": strings.TrimPrefix(made, "li-ting"), "no mac": said, "no expiry": "li-ting." + mac,
		"an upper-case mac":      said + "." + strings.ToUpper(mac),
		"a short mac":            said + "." + mac[:62],
		"a long mac":             made + "00",
		"a mac that is no hex":   said + "." + "zz" + mac[2:],
		"a leading zero":         strings.Replace(made, ".17", ".017", 1),
		"a plus":                 strings.Replace(made, ".17", ".+17", 1),
		"a minus":                strings.Replace(made, ".17", ".-17", 1),
		"a fraction":             strings.Replace(made, "0060.", "0060.0.", 1),
		"an exponent":            strings.Replace(made, "1700000060", "17e8", 1),
		"digits without end":     strings.Replace(made, "1700000060", strings.Repeat("9", 40), 1),
		"digits of another hand": strings.Replace(made, "17", "١٧", 1),
		"a space before":         " " + made,
		"a space behind":         made + " ",
		"a line break behind":    made + "\n",
		"a zero byte":            made + "\x00",
		"an upper-case subject":  strings.Replace(made, "li", "LI", 1),
		"a subject in Unicode":   strings.Replace(made, "li", "lí", 1),
		"not UTF-8":              "\xff" + made,
		"very long":              strings.Repeat("x", 1<<20) + made,
	}
}

func TestATokenHasOneSpelling(t *testing.T) {
	key := token.NewKey()
	for name, bad := range respelt(mint(t, key, "li-ting", now+60)) {
		if got, ok := token.Verify([]token.Key{key}, tenant, bad, now); ok {
			t.Errorf("%s: it is %q's", name, got)
		}
	}
}

func TestWhatCannotBeVerifiedIsNotMinted(t *testing.T) {
	key, ended := token.NewKey(), token.NewKey()
	ended.NotAfter = now
	cases := map[string]struct {
		key             token.Key
		tenant, subject string
		expiry          schedule.Instant
		ok              bool
	}{
		"one second":         {key, tenant, "li-ting", now + 1, true},
		"an hour":            {key, tenant, "li-ting", now + 3600, true},
		"more than an hour":  {key, tenant, "li-ting", now + 3601, false},
		"for ever":           {key, tenant, "li-ting", schedule.Forever, false},
		"no time":            {key, tenant, "li-ting", now, false},
		"until yesterday":    {key, tenant, "li-ting", now - 86400, false},
		"no subject":         {key, tenant, "", now + 1, false},
		"upper case":         {key, tenant, "Li-Ting", now + 1, false},
		"a line break":       {key, tenant, "li\nting", now + 1, false},
		"a dot at the end":   {key, tenant, "li-ting.", now + 1, false},
		"a very long name":   {key, tenant, strings.Repeat("x", 254), now + 1, false},
		"no tenant":          {key, "", "li-ting", now + 1, false},
		"two lines a tenant": {key, "huayue\nli-ting", "x", now + 1, false},
		"a key that ended":   {ended, tenant, "li-ting", now + 1, false},
		"no key":             {token.Key{}, tenant, "li-ting", now + 1, false},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			if _, err := token.Mint(c.key, c.tenant, c.subject, now, c.expiry); (err == nil) != c.ok {
				t.Errorf("got %v", err)
			}
		})
	}
}

func TestAKeyComesBackFromWhatAStoreKeeps(t *testing.T) {
	key := token.NewKey()
	inner, outer := key.Blocks()
	fromBlock, err := token.KeyOfBlock(inner, now)
	if err != nil {
		t.Fatal(err)
	}
	fromSecret, err := token.KeyOf(key.Secret(), now)
	if err != nil {
		t.Fatal(err)
	}
	for _, got := range []token.Key{fromBlock, fromSecret} {
		if !bytes.Equal(got.Secret(), key.Secret()) || got.NotAfter != now {
			t.Error("it is another key")
		}
	}
	if len(outer) != 64 || bytes.Equal(inner, outer) {
		t.Errorf("the outer block has %d bytes", len(outer))
	}
	if _, err := token.KeyOf(inner, now); err == nil {
		t.Error("a block was taken for a secret")
	}
	if _, err := token.KeyOfBlock(key.Secret(), now); err == nil {
		t.Error("a secret was taken for a block")
	}
	if again := token.NewKey(); bytes.Equal(again.Secret(), key.Secret()) {
		t.Error("two keys are one")
	}
}

func TestHoweverAKeyIsPrintedItsSecretIsNot(t *testing.T) {
	key := token.NewKey()
	holder := struct {
		keys []token.Key
		Key  token.Key
	}{[]token.Key{key}, key}
	var printed bytes.Buffer
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%d", "%x", "%q"} {
		for _, value := range []any{key, &key, holder, &holder, holder.keys} {
			fmt.Fprintf(&printed, verb+"\n", value)
		}
	}
	slog.New(slog.NewJSONHandler(&printed, nil)).Info("log", "key", key, "holder", holder)
	slog.New(slog.NewTextHandler(&printed, nil)).Info("log", "key", key, "holder", holder)
	_ = json.NewEncoder(&printed).Encode(holder) // where it cannot be written, nothing is
	secret := key.Secret()
	for _, form := range []string{
		string(secret[:4]), hex.EncodeToString(secret[:4]), strings.ToUpper(hex.EncodeToString(secret[:4])),
		fmt.Sprintf("%d %d %d %d", secret[0], secret[1], secret[2], secret[3]), fmt.Sprintf("%#v", secret[:2])[len("[]byte{"):][:9],
	} {
		if strings.Contains(printed.String(), form) {
			t.Errorf("%q is in what was printed", form)
		}
	}
}

func FuzzVerify(f *testing.F) {
	key := token.NewKey()
	made, err := token.Mint(key, tenant, "li-ting", now, now+60)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(made)
	for _, bad := range respelt(made) {
		if len(bad) < 1000 {
			f.Add(bad)
		}
	}
	f.Fuzz(func(t *testing.T, text string) {
		if got, ok := token.Verify([]token.Key{key}, tenant, text, now); ok && text != made {
			t.Errorf("%q is %q's, too", text, got)
		}
	})
}
