package access_test

import (
	"maps"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	. "github.com/crmaccess/crm-access-operator/internal/access"
	"github.com/crmaccess/crm-access-operator/internal/access/accesstest"
)

// shuffled are facts in another order, as a database may tell them.
func shuffled(random *rand.Rand, f Facts) Facts {
	of := reflect.ValueOf(&f).Elem()
	for i := range of.NumField() {
		list := reflect.MakeSlice(of.Field(i).Type(), of.Field(i).Len(), of.Field(i).Len())
		for to, from := range random.Perm(list.Len()) {
			list.Index(to).Set(of.Field(i).Index(from))
		}
		of.Field(i).Set(list)
	}
	return f
}

// tuplesOf are tuples by what tells them apart.
func tuplesOf(f Facts) map[string]TupleFact {
	all := make(map[string]TupleFact)
	for _, t := range f.Tuples {
		all[t.Bundle+" "+t.Path+" "+t.RevokedBy+" "+t.Digest] = t
	}
	return all
}

func lessOf[T any](a, b map[string]T) (left []T) {
	for _, key := range slices.Sorted(maps.Keys(a)) {
		if _, common := b[key]; !common {
			left = append(left, a[key])
		}
	}
	return left
}

func TestARevisionEqualsThePolicyThatIsMadeAnew(t *testing.T) {
	random := accesstest.Random(t)
	revised := 0
	for range 40 {
		d := accesstest.NewWorld(random, accesstest.Small)
		facts := shuffled(random, Resolve(d).Facts)
		policy := NewPolicy(facts)
		for range 6 {
			d = accesstest.Redraw(random, d, accesstest.Small)
			next := shuffled(random, Resolve(accesstest.Thinned(random, d)).Facts)
			before := policy.Fingerprint()
			after, fits := policy.Revise(next, lessOf(tuplesOf(facts), tuplesOf(next)), lessOf(tuplesOf(next), tuplesOf(facts)))
			if policy.Fingerprint() != before {
				t.Fatal("a revision changes what it was made of")
			}
			facts = next
			anew := NewPolicy(next)
			if !fits {
				policy = anew
				continue
			}
			revised++
			if policy = after; policy.Fingerprint() != anew.Fingerprint() {
				t.Fatalf("(-revised +made anew)\n%s", cmp.Diff(policy.Text(), anew.Text()))
			}
			sameAnswers(t, random, d, policy, anew)
		}
	}
	if revised < 200 {
		t.Errorf("%d of 240 were revised", revised)
	}
}

func sameAnswers(t *testing.T, random *rand.Rand, d Declarations, one, other *Policy) {
	t.Helper()
	shares := accesstest.NewShares(random, d, 10)
	one, other = one.WithShares(shares), other.WithShares(shares)
	for range 50 {
		now, request := accesstest.NewQuestion(random, d)
		if got, want := one.Explain(now, request), other.Explain(now, request); !reflect.DeepEqual(got, want) {
			t.Fatalf("%+v at %s (-revised +made anew)\n%s", request, now, cmp.Diff(got, want))
		}
		if got, want := one.WhoCan(now, request), other.WhoCan(now, request); !slices.Equal(got, want) {
			t.Fatalf("who can %+v at %s: %v, made anew %v", request, now, got, want)
		}
	}
}

// Two revisions of one policy do not write into each other.
func TestOnePolicyCanBeRevisedTwice(t *testing.T) {
	random := accesstest.Random(t)
	d := accesstest.NewWorld(random, accesstest.Small)
	facts := Resolve(d).Facts
	policy := NewPolicy(facts)
	var revisions, anew []*Policy
	for range 8 {
		next := Resolve(accesstest.Thinned(random, accesstest.Redraw(random, d, accesstest.Small))).Facts
		if after, fits := policy.Revise(next, lessOf(tuplesOf(facts), tuplesOf(next)), lessOf(tuplesOf(next), tuplesOf(facts))); fits {
			revisions, anew = append(revisions, after), append(anew, NewPolicy(next))
		}
	}
	for i := range revisions {
		if revisions[i].Fingerprint() != anew[i].Fingerprint() {
			t.Errorf("revision %d (-revised +made anew)\n%s", i, cmp.Diff(revisions[i].Text(), anew[i].Text()))
		}
	}
}

func TestATupleThatIsNotThereCannotBeTakenOut(t *testing.T) {
	facts := Resolve(accesstest.NewWorld(accesstest.Random(t), accesstest.Small)).Facts
	policy := NewPolicy(facts)
	unknown := facts.Tuples[0]
	unknown.Path = "elsewhere"
	if _, fits := policy.Revise(facts, []TupleFact{unknown}, nil); fits {
		t.Error("a tuple that is not there was taken out")
	}
}

func TestABundleThatLosesItsLastTupleIsHeldNoMore(t *testing.T) {
	facts := Resolve(accesstest.NewWorld(accesstest.Random(t), accesstest.Small)).Facts
	policy := NewPolicy(facts)
	bundle := facts.Tuples[slices.IndexFunc(facts.Tuples, func(t TupleFact) bool { return t.Owner.Kind == KindTemporaryGrant && t.RevokedBy == "" })].Bundle
	gone := slices.DeleteFunc(slices.Clone(facts.Tuples), func(t TupleFact) bool { return t.Bundle != bundle })
	left := slices.DeleteFunc(slices.Clone(facts.Tuples), func(t TupleFact) bool { return t.Bundle == bundle })
	revised, fits := policy.Revise(facts, gone, nil)
	facts.Tuples = left
	if anew := NewPolicy(facts); !fits || revised.Fingerprint() != anew.Fingerprint() {
		t.Errorf("fits %t (-revised +made anew)\n%s", fits, cmp.Diff(revised.Text(), anew.Text()))
	}
}

func TestWhatIsLeftBehindIsBounded(t *testing.T) {
	facts := Resolve(accesstest.NewWorld(accesstest.Random(t), accesstest.Small)).Facts
	policy := NewPolicy(facts)
	for range 100 {
		next, fits := policy.Revise(facts, facts.Tuples, facts.Tuples)
		if !fits {
			return
		}
		policy = next
	}
	t.Error("the same tuples were replaced a hundred times, and nothing is made anew")
}

func TestEveryPartOfAPolicyIsInItsFingerprint(t *testing.T) {
	facts := Resolve(accesstest.NewWorld(accesstest.Random(t), accesstest.Small)).Facts
	before := NewPolicy(facts).Fingerprint()
	of := reflect.ValueOf(&facts).Elem()
	for i := range of.NumField() {
		name, list := of.Type().Field(i).Name, of.Field(i)
		if name == "Approvals" || list.Len() == 0 {
			continue // nothing is decided from approvals; a world has no storages
		}
		all := reflect.ValueOf(list.Interface())
		list.Set(reflect.MakeSlice(list.Type(), 0, 0))
		if NewPolicy(facts).Fingerprint() == before {
			t.Errorf("without %s it is the same", name)
		}
		list.Set(all)
	}
}
