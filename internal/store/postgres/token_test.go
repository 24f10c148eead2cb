package postgres_test

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/crmaccess/crm-access-operator/internal/schedule"
	"github.com/crmaccess/crm-access-operator/internal/store"
	"github.com/crmaccess/crm-access-operator/internal/store/pgtest"
	"github.com/crmaccess/crm-access-operator/internal/token"
)

// claimed is a store with a tenant, its key, and the store's clock.
func claimed(t *testing.T, h *harness) (store.Store, token.Key, schedule.Instant) {
	t.Helper()
	s := h.Open(t)
	read, err := s.Claim(t.Context(), tenant, owner, "")
	if err != nil {
		t.Fatal(err)
	}
	keys, err := s.TokenKeys(t.Context(), tenant)
	if err != nil {
		t.Fatal(err)
	}
	return s, keys[0], schedule.At(read.Now)
}

// subject is whose token the database says that it is.
func (h *harness) subject(t *testing.T, of, text string) string {
	t.Helper()
	var name *string
	err := h.hand.QueryRow(t.Context(), `SELECT crm_access.subject($1) FROM set_config('crm_access.token', $2, false)`, of, text).Scan(&name)
	if err != nil {
		t.Fatalf("%q: %v", text, err)
	}
	if name == nil {
		return ""
	}
	return *name
}

func TestSQLVerifiesTheTokensThatGoDoes(t *testing.T) {
	h := newHarness(t)
	s, key, now := claimed(t, h)
	if _, err := s.Claim(t.Context(), "qingyun", owner, ""); err != nil {
		t.Fatal(err)
	}
	now += 60
	h.Advance(t, tenant, now) // and stands there
	mint := func(key token.Key, subject string, expiry schedule.Instant) string {
		made, err := token.Mint(key, tenant, subject, now, expiry)
		if err != nil {
			t.Fatal(err)
		}
		return made
	}
	good := mint(key, "li-ting", now+3600)
	said, mac := good[:len(good)-65], good[len(good)-64:]
	cases := map[string]string{
		"a token": good, "one for a second": mint(key, "li-ting", now+1), "a subject with dots": mint(key, "li.ting.1700000000", now+60),
		"a long subject": mint(key, strings.Repeat("x", 253), now+60), "another key's": mint(token.NewKey(), "li-ting", now+60),
		"nothing": "", "a name": "li-ting", "dots": "...", "no mac": said, "no subject": strings.TrimPrefix(good, "li-ting"),
		"another subject": strings.Replace(good, "li-ting", "wang-lei", 1), "an upper-case mac": said + "." + strings.ToUpper(mac),
		"a short mac": good[:len(good)-2], "a long mac": good + "00", "a leading zero": strings.Replace(good, "ting.", "ting.0", 1),
		"a plus": strings.Replace(good, "ting.", "ting.+", 1), "a line break behind": good + "\n", "a line break before": "\n" + good,
		"a space": " " + good, "upper case": strings.Replace(good, "li", "LI", 1), "Unicode": strings.Replace(good, "li", "lí", 1),
		"no number": "li-ting.now." + mac, "a number beyond all": "li-ting." + strings.Repeat("9", 40) + "." + mac,
		"very long": strings.Repeat("x", 1<<20), "a quote": "'; DROP TABLE crm_access.holder; --", "a percent": "%s%n." + mac,
	}
	keys := []token.Key{key}
	for _, of := range []string{tenant, "qingyun", "nobodys", ""} {
		for name, text := range cases {
			want, _ := token.Verify(keys, of, text, now)
			if of != tenant {
				want = ""
			}
			if got := h.subject(t, of, text); got != want {
				t.Errorf("%s in tenant %q: got %q, want %q", name, of, got, want)
			}
		}
	}
	if h.subject(t, tenant, good) != "li-ting" {
		t.Error("not even a good token is anybody's: this test shows nothing")
	}
	h.must(t, `RESET crm_access.token`)
	if got := h.Query(t, `SELECT crm_access.subject('huayue') IS NULL, crm_access.subject(NULL) IS NULL`); fmt.Sprint(got) != "[[t t]]" {
		t.Errorf("without a setting: %v", got)
	}
}

func TestGoVerifiesTheTokensThatSQLMints(t *testing.T) {
	h := newHarness(t)
	s, _, now := claimed(t, h)
	now += 60
	h.Advance(t, tenant, now)
	if err := s.RotateTokenKey(t.Context(), tenant); err != nil {
		t.Fatal(err)
	}
	keys, err := s.TokenKeys(t.Context(), tenant)
	if err != nil {
		t.Fatal(err)
	}
	made := h.Query(t, `SELECT crm_access.mint_token('huayue', 'li.ting', interval '60 seconds')`)[0][0]
	for at, live := range map[schedule.Instant]bool{now: true, now + 59: true, now + 60: false} {
		if got, ok := token.Verify(keys[:1], tenant, made, at); ok != live || (live && got != "li.ting") {
			t.Errorf("at %s: got %q, %t", at, got, ok)
		}
	}
	for statement, want := range map[string]string{
		`'huayue', 'li-ting', interval '1 hour 1 second'`: "would last 3601 seconds",
		`'huayue', 'li-ting', interval '0'`:               "would last 0 seconds",
		`'huayue', 'li-ting', interval '-1 minute'`:       "would last -60 seconds",
		`'huayue', 'li-ting', NULL`:                       "would last",
		`'huayue', 'Li-Ting', interval '1 minute'`:        "not the name of a user",
		`'huayue', E'li\nting', interval '1 minute'`:      "not the name of a user",
		`'huayue', '', interval '1 minute'`:               "not the name of a user",
		`'huayue', NULL, interval '1 minute'`:             "not the name of a user",
		`'nobodys', 'li-ting', interval '1 minute'`:       "the tenant has no key",
		`NULL, 'li-ting', interval '1 minute'`:            "the tenant has no key",
	} {
		if err := h.Exec(t, `SELECT crm_access.mint_token(`+statement+`)`); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %q", statement, err, want)
		}
	}
}

func TestAnAdministratorMakesAKeyAnewAndEndsTheFormerOneAtOnceOrLater(t *testing.T) {
	h := newHarness(t)
	s, key, now := claimed(t, h)
	now += 60
	h.Advance(t, tenant, now)
	minted := func() string {
		return h.Query(t, `SELECT crm_access.mint_token('huayue', 'li-ting', interval '1 hour')`)[0][0]
	}
	check := func(when string, live map[string]bool) {
		t.Helper()
		keys, err := s.TokenKeys(t.Context(), tenant)
		if err != nil {
			t.Fatal(err)
		}
		read, err := s.Tenant(t.Context(), tenant)
		if err != nil {
			t.Fatal(err)
		}
		for made, want := range live {
			_, ok := token.Verify(keys, tenant, made, schedule.At(read.Now))
			if inSQL := h.subject(t, tenant, made) != ""; ok != want || inSQL != want {
				t.Errorf("%s: a token verifies %t in Go and %t in SQL, want %t", when, ok, inSQL, want)
			}
		}
	}
	first := minted()
	h.must(t, `SELECT crm_access.rotate_token_key('huayue')`)
	second := minted()
	check("after a rotation", map[string]bool{first: true, second: true})
	h.must(t, snippetOf(t, "postgresql.md", "rotate"))
	third := minted()
	check("after the former keys were ended", map[string]bool{first: false, second: false, third: true})
	if keys, err := s.TokenKeys(t.Context(), tenant); err != nil || len(keys) != 1 || sameSecret(keys[0], key) {
		t.Errorf("%d keys, %v", len(keys), err)
	}
	h.must(t, `SELECT crm_access.rotate_token_key('huayue')`)
	h.Advance(t, tenant, now+3599)
	check("as long as the token lasts", map[string]bool{third: true})
	h.Advance(t, tenant, now+3601)
	check("a second later", map[string]bool{third: false})
	if err := h.Exec(t, `SELECT crm_access.rotate_token_key('nobodys')`); err == nil || !strings.Contains(err.Error(), "there is no such tenant") {
		t.Errorf("of a tenant that is not there: %v", err)
	}
}

func sameSecret(a, b token.Key) bool { return bytes.Equal(a.Secret(), b.Secret()) }

func TestATokenEndsInsideATransactionThatBeganBefore(t *testing.T) {
	h := newHarness(t)
	_, key, now := claimed(t, h)
	h.Advance(t, tenant, now+60)
	made, err := token.Mint(key, tenant, "li-ting", now+60, now+120)
	if err != nil {
		t.Fatal(err)
	}
	other := &harness{dsn: h.dsn}
	other.connect(t)
	defer other.hand.Close(t.Context())
	h.must(t, `BEGIN`)
	if got := h.subject(t, tenant, made); got != "li-ting" {
		t.Fatalf("it is %q's", got)
	}
	other.Advance(t, tenant, now+120)
	if got := h.subject(t, tenant, made); got != "" {
		t.Errorf("it is still %q's", got)
	}
	h.must(t, `ROLLBACK`)
}

func TestTheDocumentedRolesAskAndMintAndNoMore(t *testing.T) {
	server := pgtest.Shared(t)
	h := newHarness(t)
	s, key, _ := claimed(t, h)
	name := h.hand.Config().Database
	t.Cleanup(func() {
		for _, role := range []string{"crm_app", "crm_minter"} {
			server.Psql(t, h.dsn, `DROP OWNED BY `+role+` CASCADE; DROP ROLE `+role)
		}
	})
	server.Psql(t, h.dsn, snippetOf(t, "postgresql.md", "app"))
	app, minter := server.DSN("crm_app", "choose a strong one", name), server.DSN("crm_minter", "choose another strong one", name)
	mints, asks, found := strings.Cut(snippetOf(t, "postgresql.md", "token"), "-- As crm_app")
	if !found {
		t.Fatal("the page shows nobody who asks")
	}
	made := server.Psql(t, minter, strings.Replace(mints, `\gset`, ";", 1))
	if got := server.Psql(t, app, strings.Replace("-- As crm_app"+asks, ":'token'", "'"+made+"'", 1)); !strings.Contains(got, "\nli-ting") {
		t.Errorf("whoever asks with the token is %q", got)
	}
	secret := fmt.Sprintf("%x", key.Secret()[:8])
	for _, dsn := range []string{app, minter} {
		for _, statement := range []string{
			`SELECT * FROM crm_access.token_key`, `SELECT FROM crm_access.holder`, `SELECT FROM crm_access.tenant`, `DELETE FROM crm_access.token_key`,
			`INSERT INTO crm_access.token_key DEFAULT VALUES`, `SELECT crm_access.rotate_token_key('huayue')`, `CREATE FUNCTION crm_access.f() RETURNS int LANGUAGE sql AS 'SELECT 1'`,
		} {
			if _, err := server.TryPsql(dsn, statement); err == nil || !strings.Contains(err.Error(), "permission denied") || strings.Contains(err.Error(), secret) {
				t.Errorf("%s: got %v", statement, err)
			}
		}
	}
	if _, err := server.TryPsql(app, `SELECT crm_access.mint_token('huayue', 'li-ting', interval '1 minute')`); err == nil || !strings.Contains(err.Error(), "permission denied") {
		t.Errorf("the application mints: got %v", err)
	}
	server.Psql(t, h.dsn, snippetOf(t, "postgresql.md", "rotate"))
	if got := server.Psql(t, app, `SELECT set_config('crm_access.token', '`+made+`', false); SELECT crm_access.subject('huayue') IS NULL`); !strings.HasSuffix(got, "\nt") {
		t.Errorf("after its key is gone the token is %q", got)
	}
	if keys, err := s.TokenKeys(t.Context(), tenant); err != nil || len(keys) != 1 {
		t.Errorf("%d keys, %v", len(keys), err)
	}
	server.Psql(t, minter, strings.Replace(mints, `\gset`, ";", 1))
}

// What the definers' functions are called with must not be anything that the caller has put in their way.
func TestNobodyPutsAFunctionOrTableInTheWayOfTheDefiners(t *testing.T) {
	h := newHarness(t)
	_, key, now := claimed(t, h)
	made, err := token.Mint(key, tenant, "li-ting", now, now+600)
	if err != nil {
		t.Fatal(err)
	}
	h.must(t, `CREATE FUNCTION public.sha256(bytea) RETURNS bytea LANGUAGE sql AS $$ SELECT '\x00'::bytea $$;
		CREATE FUNCTION pg_temp.sha256(bytea) RETURNS bytea LANGUAGE sql AS $$ SELECT '\x00'::bytea $$;
		CREATE TEMPORARY TABLE token_key (tenant text, not_after timestamptz, inner_block bytea, outer_block bytea);
		INSERT INTO token_key VALUES ('huayue', NULL, '', '');
		SET search_path = pg_temp, public, pg_catalog`)
	if got := h.subject(t, tenant, "wang-lei"+strings.TrimPrefix(made, "li-ting")); got != "" {
		t.Errorf("a forged token is %q's", got)
	}
	if got := h.subject(t, tenant, made); got != "li-ting" {
		t.Errorf("li-ting's token is %q's", got)
	}
}
