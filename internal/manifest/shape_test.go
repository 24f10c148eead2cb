package manifest

import (
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"path/filepath"
	"reflect"
	"slices"
	"testing"

	"k8s.io/apimachinery/pkg/runtime"

	"github.com/crmaccess/crm-access-operator/internal/testenv"
)

// admitsAsServer: what a shape admits the server's code admits too, with the same defaults.
func admitsAsServer(t *testing.T, check *admission, object map[string]any) (admitted bool) {
	t.Helper()
	delete(object, "status")
	fast, slow := runtime.DeepCopyJSON(object), runtime.DeepCopyJSON(object)
	if !check.shape.admits(fast) {
		// What it has completed until it gave up must not change what the server's code says.
		if a, b := fmt.Sprint(check.reviewAsServer(fast)), fmt.Sprint(check.reviewAsServer(slow)); a != b {
			t.Errorf("a shape that gave up leaves %s, want %s: %s", a, b, asJSONText(object))
		}
		return false
	}
	if refusals := check.reviewAsServer(slow); len(refusals) > 0 {
		t.Errorf("admitted, and the server refuses it: %v\n%s", refusals, asJSONText(object))
	} else if !reflect.DeepEqual(fast, slow) {
		t.Errorf("completed to\n%s\nwant\n%s", asJSONText(fast), asJSONText(slow))
	}
	return true
}

func asJSONText(object any) string {
	text, _ := json.Marshal(object)
	return string(text)
}

func TestAShapeAdmitsNothingThatTheServerRefuses(t *testing.T) {
	checks, err := admissions()
	if err != nil {
		t.Fatal(err)
	}
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	cases := testenv.Grammar(t)
	admitted, accepted := map[string]int{}, map[string]int{}
	for _, c := range cases {
		kind := c.Object.GetKind()
		object := runtime.DeepCopyJSON(c.Object.Object)
		if c.Refused == "" {
			accepted[kind]++
		}
		if admitsAsServer(t, checks[kind], object) {
			admitted[kind]++
		}
		for range 3 {
			mutant := runtime.DeepCopyJSON(c.Object.Object)
			for range 1 + random.IntN(3) {
				mutate(random, mutant, cases[random.IntN(len(cases))].Object.Object)
			}
			admitsAsServer(t, checks[kind], mutant)
		}
	}
	for kind := range accepted {
		if admitted[kind] == 0 {
			t.Errorf("no %s of the grammar is admitted by its shape: reading one is slow", kind)
		}
	}
}

func TestTheSamplesNeedNoServersCode(t *testing.T) {
	root, err := testenv.ModuleRoot()
	if err != nil {
		t.Fatal(err)
	}
	tree, err := Load(filepath.Join(root, "config", "samples"))
	if err != nil {
		t.Fatal(err)
	}
	checks, err := admissions()
	if err != nil {
		t.Fatal(err)
	}
	fast, all := 0, 0
	for _, tenant := range tree.Tenants {
		for ref, object := range tenant.Objects {
			content, err := runtime.DefaultUnstructuredConverter.ToUnstructured(object)
			if err != nil {
				t.Fatal(err)
			}
			delete(content["metadata"].(map[string]any), "creationTimestamp")
			all++
			if admitsAsServer(t, checks[string(ref.Kind)], content) {
				fast++
			}
		}
	}
	if fast < all*9/10 {
		t.Errorf("%d of %d objects of the samples are admitted by their shape", fast, all)
	}
}

// mutate changes one thing somewhere in an object: takes it out, doubles it, or puts something else there.
func mutate(random *rand.Rand, value any, donor map[string]any) {
	for {
		switch v := value.(type) {
		case map[string]any:
			keys := slices.Sorted(maps.Keys(v))
			if len(keys) == 0 {
				return
			}
			key := keys[random.IntN(len(keys))]
			if next := v[key]; random.IntN(4) > 0 && isContainer(next) {
				value = next
				continue
			}
			switch random.IntN(4) {
			case 0:
				delete(v, key)
			case 1:
				v[pick(random, donor)] = v[key]
			default:
				v[key] = anything(random, v[key], donor)
			}
			return
		case []any:
			if len(v) == 0 {
				return
			}
			i := random.IntN(len(v))
			if random.IntN(4) > 0 && isContainer(v[i]) {
				value = v[i]
				continue
			}
			if random.IntN(2) == 0 {
				v[i] = runtime.DeepCopyJSONValue(v[random.IntN(len(v))])
			} else {
				v[i] = anything(random, v[i], donor)
			}
			return
		default:
			return
		}
	}
}

func isContainer(value any) bool {
	switch value.(type) {
	case map[string]any, []any:
		return true
	}
	return false
}

// pick is the name of some member of the donor.
func pick(random *rand.Rand, donor map[string]any) string {
	for {
		keys := slices.Sorted(maps.Keys(donor))
		if len(keys) == 0 {
			return "none"
		}
		key := keys[random.IntN(len(keys))]
		next, ok := donor[key].(map[string]any)
		if !ok || random.IntN(2) == 0 {
			return key
		}
		donor = next
	}
}

func anything(random *rand.Rand, was any, donor map[string]any) any {
	text, _ := was.(string)
	return []any{
		nil, "", "*", "all", "own", "a", "A B", "é\u0301", "\x07", text + "x", text + "\n", text + text, "2026-12-31T09:00:00Z", "1h", "0",
		true, int64(0), int64(-1), int64(7), int64(1) << 40, 1.5, []any{}, []any{"a", "a"}, []any{was}, []any{was, was}, map[string]any{}, map[string]any{"a": was},
		runtime.DeepCopyJSONValue(donor["spec"]), runtime.DeepCopyJSONValue(donor["metadata"]),
	}[random.IntN(29)]
}
