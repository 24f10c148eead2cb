package decisionapi

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strconv"

	"golang.org/x/text/unicode/norm"

	"github.com/crmaccess/crm-access-operator/internal/access"
	"github.com/crmaccess/crm-access-operator/internal/schedule"
	"github.com/crmaccess/crm-access-operator/internal/store"
	"github.com/crmaccess/crm-access-operator/internal/token"
)

// HeaderSubject bears the token of the person who makes, asks or answers something (docs/runtime.md).
const HeaderSubject = "X-CRM-Access-Subject"

// Facts are where what people make while the CRM runs is kept.
type Facts interface {
	store.Runtime
	// TokenKeys are those that sign the tenant's subject tokens.
	TokenKeys(ctx context.Context, tenant string) ([]token.Key, error)
	// Used reads what a user has used of each limit in the last 24 hours.
	Used(ctx context.Context, tenant, user string, limits []store.Limit) ([]int64, error)
}

// FactSource finds a tenant's facts; nil where its store is not known or away.
type FactSource interface {
	Facts(tenant string) Facts
	// Changed says that a tenant's shares have changed, so that who follows them looks at once.
	Changed(tenant string)
}

var (
	errNoFacts  = refuse(http.StatusServiceUnavailable, "what people make while the CRM runs cannot be kept now: ask again soon")
	errNoPerson = refuse(http.StatusUnauthorized, "say who asks: the header %s bears no token of theirs that is valid now", HeaderSubject)
	errNotFound = refuse(http.StatusNotFound, "there is none of that id for you")
)

// facts are the tenant's.
func (a *asked) facts() (Facts, error) {
	if a.options.Facts != nil {
		if facts := a.options.Facts.Facts(a.tenant); facts != nil {
			return facts, nil
		}
	}
	return nil, errNoFacts
}

// person is who makes, asks or answers something: the subject of their token. What the application says of them elsewhere
// does not count. The account must have access: who has left keeps nothing and answers nothing.
func (a *asked) person(facts Facts) (string, error) {
	person, err := a.bearer(facts)
	if err != nil {
		return "", err
	}
	if _, active := a.policy.AccountOf(person); !active {
		return "", errNoPerson
	}
	return person, nil
}

func (a *asked) bearer(facts Facts) (string, error) {
	given := a.http.Header.Values(HeaderSubject)
	if len(given) != 1 || given[0] == "" {
		return "", errNoPerson
	}
	if a.options.BareSubject {
		return norm.NFC.String(given[0]), nil
	}
	now, err := a.now()
	if err != nil {
		return "", err
	}
	keys, err := facts.TokenKeys(a.http.Context(), a.tenant)
	if err != nil {
		return "", unkept(err)
	}
	person, ok := token.Verify(keys, a.tenant, given[0], now)
	if !ok {
		return "", errNoPerson
	}
	return person, nil
}

// unkept is the answer to an error of the store.
func unkept(err error) error {
	switch {
	case errors.Is(err, store.ErrNotFound):
		return errNotFound
	case errors.Is(err, store.ErrRefused):
		return refuse(http.StatusBadRequest, "%v", err)
	}
	return errNoFacts
}

// operationOf is what a request is about, as an approval names it. A record that is proposed has no other identity than
// all that is said of it, also what no rule asks for now; and a share is one of its terms.
func operationOf(request *access.Request, e *entities) store.Operation {
	o := store.Operation{
		Subject: request.User, Action: request.Action, Object: request.Object, Rows: request.Context.Rows,
		TargetUser: request.Context.TargetUser, TargetDepartment: request.Context.TargetDepartment, Fields: slices.Clone(request.Fields),
		Channel: request.Context.Channel, Device: request.Context.Device, Reason: request.Context.Reason,
	}
	if request.Record != nil {
		o.Record = request.Record.ID
	}
	switch {
	case request.Action == access.ActionShare && e.share != nil:
		text, err := json.Marshal(e.share.view())
		if err != nil {
			panic(err) // texts can always be written
		}
		o.Proposed = digestOf(text)
	case proposes(request):
		o.Proposed = digestOf(appendSaid(nil, e.resource.properties))
	}
	return o
}

// proposes says whether a request is about a record that has no identity yet.
func proposes(request *access.Request) bool {
	return request.Record != nil && (request.Action == access.ActionCreate || request.Record.ID == "")
}

func digestOf(text []byte) string {
	sum := sha256.Sum256(text)
	return "sha256:" + hex.EncodeToString(sum[:])
}

// appendSaid spells properties in one way, whatever their order: each text is quoted, so that none can pass for two.
func appendSaid(b []byte, properties []property) []byte {
	sorted := slices.SortedFunc(slices.Values(properties), func(x, y property) int { return cmp.Compare(x.name, y.name) })
	for _, p := range sorted {
		b = append(strconv.AppendQuote(b, p.name), '0'+byte(p.form), ' ')
		b = append(strconv.AppendQuote(b, p.text), '[')
		if p.more != nil {
			for _, text := range p.more.texts {
				b = append(strconv.AppendQuote(b, text), ',')
			}
			b = append(appendSaid(append(b, '{'), p.more.record), '}')
		}
		if p.malformed() != nil {
			b = append(b, '!') // it is not what was read of it
		}
		b = append(b, ']')
	}
	return b
}

// recall adds to a request what the store knows of it: who has approved it, and what was used of its limits where the
// caller does not say. It returns the ids of the approvals that fit.
func (a *asked) recall(e *entities, request *access.Request, now schedule.Instant) (fitting []string, err error) {
	approvals := e.approvals()
	limits := a.policy.DayLimits(request.Object, request.Action)
	asksUsed := len(limits) > 0 && request.Context.Used == nil
	if len(approvals) == 0 && !asksUsed {
		return nil, nil
	}
	facts, err := a.facts()
	if err != nil {
		return nil, nil //nolint:nilerr // what is not known is in nobody's favour: the rules deny, or ask for approval
	}
	if asksUsed {
		if err := a.countAsk(); err != nil {
			return nil, err
		}
		if request.Context.UsedOf, err = facts.Used(a.http.Context(), a.tenant, request.User, storeLimits(limits)); err != nil {
			return nil, unkept(err)
		}
	}
	if len(approvals) == 0 {
		return nil, nil
	}
	if err := a.countAsk(); err != nil {
		return nil, err
	}
	requests, err := facts.Requests(a.http.Context(), a.tenant, approvals)
	if err != nil {
		return nil, unkept(err)
	}
	operation := operationOf(request, e)
	for i := range requests {
		if r := &requests[i]; r.Open(now) && r.Fits(operation) {
			request.Context.ApprovedBy = append(request.Context.ApprovedBy, r.Approvers()...)
			fitting = append(fitting, r.ID)
		}
	}
	return fitting, nil
}

func storeLimits(rules []*access.LimitRule) []store.Limit {
	limits := make([]store.Limit, len(rules))
	for i, rule := range rules {
		limits[i] = store.Limit{Objects: rule.Objects, Actions: rule.Actions, Max: *rule.MaxRowsPerDay}
	}
	return limits
}

// asPerson makes the entities a question of the person's. A subject that the body names must be the same.
func (a *asked) asPerson(e *entities, person string) (*question, error) {
	if e.subject != nil && (e.subject.kind != subjectUser || e.subject.id != person) {
		return nil, refuse(http.StatusForbidden, "the subject is another than the one whose token %s bears: leave it out", HeaderSubject)
	}
	e.subject = &subject{kind: subjectUser, id: person}
	return a.question(e)
}
