package storetest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/crmaccess/crm-access-operator/internal/schedule"
	"github.com/crmaccess/crm-access-operator/internal/store"
)

// requestUntil is li-ting's request to transfer a customer to tang-yue.
func requestUntil(end schedule.Instant) store.Request {
	return store.Request{
		Operation: store.Operation{Subject: "li-ting", Action: "transfer", Object: "customer", Record: "c-1", TargetUser: "tang-yue",
			Channel: "web", Device: "managed", Reason: "moves to Shanghai"},
		Question: json.RawMessage(`{"owner": "li-ting", "n": 1.50}`), Window: schedule.Window{NotAfter: end},
	}
}

func ask(t *testing.T, s store.Store, r store.Request) store.Request {
	t.Helper()
	asked, err := s.Ask(t.Context(), tenant, r)
	if err != nil {
		t.Fatalf("ask: %v", err)
	}
	return asked
}

// say answers a request.
func say(t *testing.T, s store.Store, id, approver string, approves bool) {
	t.Helper()
	if err := s.Answer(t.Context(), tenant, id, store.Answer{Approver: approver, Approves: approves, Comment: "so says " + approver}); err != nil {
		t.Fatalf("%s answers: %v", approver, err)
	}
}

// request reads one request.
func request(t *testing.T, s store.Store, id string) store.Request {
	t.Helper()
	read, err := s.Requests(t.Context(), tenant, []string{id})
	if err != nil || len(read) != 1 {
		t.Fatalf("read a request: %d, %v", len(read), err)
	}
	return read[0]
}

// open says which requests wait.
func open(t *testing.T, s store.Store) []string {
	t.Helper()
	read, err := s.OpenRequests(t.Context(), tenant, store.Place{}, 100)
	if err != nil {
		t.Fatalf("open requests: %v", err)
	}
	var ids []string
	for _, r := range read {
		ids = append(ids, r.ID)
	}
	return ids
}

// use uses up requests of li-ting's, and says whether that was done.
func use(t *testing.T, s store.Store, ids ...string) bool {
	t.Helper()
	got, err := s.Consume(t.Context(), tenant, store.Consumption{Subject: "li-ting", Requests: ids})
	if err != nil || got.OK == got.Spent {
		t.Fatalf("use %v: %+v, %v", ids, got, err)
	}
	return got.OK
}

var asking = []test{
	{"a request is read as it was asked, from the store's now on", func(t *testing.T, h Harness) {
		l := lead(t, h, tenant)
		at := still(t, h, l)
		rows := int64(500)
		export := requestUntil(at + 7*day)
		export.Operation = store.Operation{Subject: "li-ting", Action: "export", Object: "customer", Rows: &rows, Fields: []string{"name", "phone"}}
		proposed := requestUntil(at + day)
		proposed.Record, proposed.TargetUser, proposed.Proposed, proposed.TargetDepartment = "", "", "sha256:0a", "sales-west"
		var made []string
		for _, r := range []store.Request{requestUntil(at + 60), export, proposed} {
			r.ID, r.UsedAt, r.Answers = "mine", at, []store.Answer{{Approver: "li-ting", Approves: true}}
			asked := ask(t, l, r)
			r.ID, r.UsedAt, r.Answers, r.Window.NotBefore = asked.ID, schedule.Forever, nil, at
			if !reflect.DeepEqual(asked, r) || len(asked.ID) < 26 {
				t.Errorf("asked %+v, want %+v", asked, r)
			}
			r.Answers = []store.Answer{}
			if got := request(t, h.Open(t), r.ID); !reflect.DeepEqual(got, r) {
				t.Errorf("read %+v, want %+v", got, r)
			}
			made = append(made, asked.ID)
		}
		of, err := l.RequestsOf(t.Context(), tenant, "li-ting", 10)
		if err != nil || len(of) != 3 {
			t.Errorf("li-ting's: %d, %v", len(of), err)
		}
		if got := open(t, l); !slices.Equal(slices.Sorted(slices.Values(got)), slices.Sorted(slices.Values(made))) {
			t.Errorf("open %v, want %v", got, made)
		}
		if of, err := l.RequestsOf(t.Context(), tenant, "tang-yue", 10); err != nil || len(of) != 0 {
			t.Errorf("tang-yue's: %d, %v", len(of), err)
		}
	}},
	{"open requests come in pages, each once, also where many were asked in one second", func(t *testing.T, h Harness) {
		l, other := lead(t, h, tenant), lead(t, h, "qingyun")
		at := still(t, h, l)
		var want, got []string
		for i := range schedule.Instant(9) {
			h.Advance(t, tenant, at+i/4)
			r := requestUntil(at + day)
			r.Subject = fmt.Sprintf("person-%d", i)
			want = append(want, ask(t, l, r).ID)
		}
		if _, err := other.Ask(t.Context(), "qingyun", requestUntil(other.now(t)+day)); err != nil {
			t.Fatal(err)
		}
		for after := (store.Place{}); ; {
			page, err := l.OpenRequests(t.Context(), tenant, after, 2)
			if err != nil {
				t.Fatal(err)
			}
			if len(page) == 0 {
				break
			}
			for _, r := range page {
				if place := r.Place(); place.At < after.At || place.At == after.At && place.ID <= after.ID {
					t.Fatalf("%v comes after %v", place, after)
				}
				after = r.Place()
				got = append(got, r.ID)
			}
		}
		slices.Sort(want)
		if slices.Sort(got); !slices.Equal(got, want) {
			t.Errorf("pages of %v, want %v", got, want)
		}
	}},
	{"answers are kept in their order with who gave them, and a no closes the request", func(t *testing.T, h Harness) {
		l := lead(t, h, tenant)
		at := still(t, h, l)
		asked := ask(t, l, requestUntil(at+60))
		say(t, l, asked.ID, "wang-lei", true)
		h.Advance(t, tenant, at+1)
		say(t, h.Open(t), asked.ID, "chen-mo", true)
		want := []store.Answer{{Approver: "wang-lei", Approves: true, Comment: "so says wang-lei", At: at}, {Approver: "chen-mo", Approves: true, Comment: "so says chen-mo", At: at + 1}}
		got := request(t, l, asked.ID)
		if !reflect.DeepEqual(got.Answers, want) || !slices.Equal(got.Approvers(), []string{"wang-lei", "chen-mo"}) || !got.Open(at+1) {
			t.Errorf("answers %+v", got.Answers)
		}
		say(t, l, asked.ID, "gao-yuan", false)
		if got := request(t, l, asked.ID); len(got.Answers) != 3 || got.Approvers() != nil || got.Open(at+1) {
			t.Errorf("after a no: %+v", got)
		}
		if got := open(t, l); len(got) != 0 {
			t.Errorf("open %v", got)
		}
		if use(t, l, asked.ID) {
			t.Error("what was refused was used")
		}
	}},
	{"nobody answers twice, or their own request, or one that is closed", func(t *testing.T, h Harness) {
		l, other := lead(t, h, tenant), lead(t, h, "qingyun")
		at := still(t, h, l)
		asked, refused, used := ask(t, l, requestUntil(at+60)), ask(t, l, requestUntil(at+60)), ask(t, l, requestUntil(at+60))
		say(t, l, asked.ID, "chen-mo", true)
		say(t, l, refused.ID, "chen-mo", false)
		say(t, l, used.ID, "chen-mo", true)
		if !use(t, l, used.ID) {
			t.Fatal("an approved request cannot be used")
		}
		tries := map[string]struct{ id, approver string }{
			"twice": {asked.ID, "chen-mo"}, "their own": {asked.ID, "li-ting"}, "refused": {refused.ID, "wang-lei"},
			"used": {used.ID, "wang-lei"}, "none": {"0000", "wang-lei"}, "a pattern": {"%", "wang-lei"},
		}
		for what, try := range tries {
			for _, approves := range []bool{true, false} {
				if err := l.Answer(t.Context(), tenant, try.id, store.Answer{Approver: try.approver, Approves: approves}); !errors.Is(err, store.ErrNotFound) {
					t.Errorf("%s: got %v, want ErrNotFound", what, err)
				}
			}
		}
		if err := other.Answer(t.Context(), "qingyun", asked.ID, store.Answer{Approver: "wang-lei", Approves: true}); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("in another tenant: got %v, want ErrNotFound", err)
		}
		say(t, l, asked.ID, "wang-lei", true)
		h.Advance(t, tenant, at+60)
		if err := l.Answer(t.Context(), tenant, asked.ID, store.Answer{Approver: "gao-yuan", Approves: true}); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("after the end: got %v, want ErrNotFound", err)
		}
		if got := request(t, l, asked.ID); len(got.Answers) != 2 {
			t.Errorf("answers %+v", got.Answers)
		}
	}},
	{"a request is used once, by its subject, while it is approved and has not ended", func(t *testing.T, h Harness) {
		l := lead(t, h, tenant)
		at := still(t, h, l)
		asked, unanswered, late := ask(t, l, requestUntil(at+60)), ask(t, l, requestUntil(at+60)), ask(t, l, requestUntil(at+60))
		say(t, l, asked.ID, "chen-mo", true)
		say(t, l, late.ID, "chen-mo", true)
		if use(t, l, unanswered.ID) || use(t, l, asked.ID, unanswered.ID) || use(t, l, "0000") {
			t.Error("what nobody approved was used")
		}
		if got, err := l.Consume(t.Context(), tenant, store.Consumption{Subject: "tang-yue", Requests: []string{asked.ID}}); err != nil || got.OK {
			t.Errorf("by another: %+v, %v", got, err)
		}
		if got := request(t, l, asked.ID); got.UsedAt != schedule.Forever {
			t.Errorf("a refusal used it at %s", got.UsedAt)
		}
		h.Advance(t, tenant, at+59)
		if !use(t, l, asked.ID, asked.ID) || use(t, l, asked.ID) {
			t.Error("it is not used just once")
		}
		if got := request(t, l, asked.ID); got.UsedAt != at+59 || got.Open(at+59) {
			t.Errorf("used at %s", got.UsedAt)
		}
		h.Advance(t, tenant, at+60)
		if use(t, l, late.ID) || len(open(t, l)) != 0 {
			t.Error("it was used, or open, after its end")
		}
	}},
	{"rows and approvals are used up together or not at all", func(t *testing.T, h Harness) {
		l := lead(t, h, tenant)
		at := still(t, h, l)
		asked, unanswered := ask(t, l, requestUntil(at+60)), ask(t, l, requestUntil(at+60))
		say(t, l, asked.ID, "chen-mo", true)
		consume := func(rows int64, ids ...string) store.Consumed {
			t.Helper()
			reservation := export(rows, exports(10))
			got, err := l.Consume(t.Context(), tenant, store.Consumption{Subject: "li-ting", Requests: ids, Reservation: &reservation})
			if err != nil {
				t.Fatal(err)
			}
			return got
		}
		used := func() int64 {
			t.Helper()
			used, err := l.Used(t.Context(), tenant, "li-ting", []store.Limit{exports(10)})
			if err != nil {
				t.Fatal(err)
			}
			return used[0]
		}
		if got := consume(5, unanswered.ID); got.OK || !got.Spent || used() != 0 {
			t.Errorf("without the approval: %+v, %d used", got, used())
		}
		if got := consume(11, asked.ID); got.OK || got.Spent || got.Reserved.Limit != 0 || request(t, l, asked.ID).UsedAt != schedule.Forever {
			t.Errorf("beyond the limit: %+v", got)
		}
		if got := consume(6, asked.ID); !got.OK || got.Reserved.Used[0] != 6 || used() != 6 || request(t, l, asked.ID).UsedAt != at {
			t.Errorf("within both: %+v", got)
		}
		if got := consume(1, asked.ID); got.OK || !got.Spent || used() != 6 {
			t.Errorf("again: %+v, %d used", got, used())
		}
		if got := consume(4); !got.OK || used() != 10 {
			t.Errorf("rows alone: %+v, %d used", got, used())
		}
	}},
	{"of many who use a request at once one does", func(t *testing.T, h Harness) {
		l := lead(t, h, tenant)
		at := still(t, h, l)
		first, second := ask(t, l, requestUntil(at+60)), ask(t, l, requestUntil(at+60))
		say(t, l, first.ID, "chen-mo", true)
		say(t, l, second.ID, "chen-mo", true)
		handles := []store.Store{l, h.Open(t)}
		var won atomic.Int64
		var all sync.WaitGroup
		for i := range 20 {
			all.Go(func() {
				ids := []string{first.ID, second.ID}
				if i%4 > 1 {
					slices.Reverse(ids)
				}
				got, err := handles[i%2].Consume(context.Background(), tenant, store.Consumption{Subject: "li-ting", Requests: ids})
				if err != nil {
					t.Errorf("use: %v", err)
				}
				if got.OK {
					won.Add(1)
				}
			})
		}
		all.Wait()
		if won.Load() != 1 {
			t.Errorf("%d used it, want 1", won.Load())
		}
	}},
	{"what is no request, answer or use is refused", func(t *testing.T, h Harness) {
		l := lead(t, h, tenant)
		at := still(t, h, l)
		less, most := int64(-1), int64(store.MaxRows+1)
		bad := map[string]func(*store.Request){
			"no subject":          func(r *store.Request) { r.Subject = "" },
			"no action":           func(r *store.Request) { r.Action = "" },
			"no object":           func(r *store.Request) { r.Object = "" },
			"an end that is now":  func(r *store.Request) { r.Window.NotAfter = at },
			"no end":              func(r *store.Request) { r.Window.NotAfter = schedule.Forever },
			"a second too long":   func(r *store.Request) { r.Window.NotAfter = at + 7*day + 1 },
			"no question":         func(r *store.Request) { r.Question = nil },
			"half a question":     func(r *store.Request) { r.Question = json.RawMessage(`{`) },
			"fewer rows than any": func(r *store.Request) { r.Rows = &less },
			"too many rows":       func(r *store.Request) { r.Rows = &most },
			"U+0000":              func(r *store.Request) { r.TargetUser = "\x00" },
			"U+0000 in a channel": func(r *store.Request) { r.Channel = "\x00" },
		}
		for what, spoil := range bad {
			r := requestUntil(at + 60)
			spoil(&r)
			if _, err := l.Ask(t.Context(), tenant, r); !errors.Is(err, store.ErrRefused) {
				t.Errorf("%s: got %v, want ErrRefused", what, err)
			}
		}
		if err := l.Answer(t.Context(), tenant, "x", store.Answer{Approves: true}); !errors.Is(err, store.ErrRefused) {
			t.Errorf("nobody's answer: %v", err)
		}
		none := export(0)
		for what, c := range map[string]store.Consumption{
			"nothing": {Subject: "li-ting"}, "nobody": {Requests: []string{"x"}}, "no rows": {Subject: "li-ting", Reservation: &none},
		} {
			if got, err := l.Consume(t.Context(), tenant, c); !errors.Is(err, store.ErrRefused) || got.OK {
				t.Errorf("use of %s: %+v, %v, want ErrRefused", what, got, err)
			}
		}
		if of, err := l.RequestsOf(t.Context(), tenant, "li-ting", 10); err != nil || len(of) != 0 {
			t.Errorf("%d requests, %v", len(of), err)
		}
	}},
	{"a subject has so many open requests and no more", func(t *testing.T, h Harness) {
		l := lead(t, h, tenant)
		at := still(t, h, l)
		for range store.MaxOpen {
			ask(t, l, requestUntil(at+60))
		}
		if _, err := l.Ask(t.Context(), tenant, requestUntil(at+60)); !errors.Is(err, store.ErrRefused) {
			t.Errorf("one more: got %v, want ErrRefused", err)
		}
		other := requestUntil(at + 60)
		other.Subject = "tang-yue"
		ask(t, l, other)
		h.Advance(t, tenant, at+60)
		ask(t, l, requestUntil(at+120))
	}},
	{"nothing is asked in a tenant that nobody has claimed", func(t *testing.T, h Harness) {
		s := h.Open(t)
		l := lead(t, h, "qingyun")
		if _, err := s.Ask(t.Context(), tenant, requestUntil(schedule.At(l.tenant.Now)+60)); !errors.Is(err, store.ErrNoTenant) {
			t.Errorf("got %v, want ErrNoTenant", err)
		}
	}},
}
