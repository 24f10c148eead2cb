package decisionapi

import "testing"

func TestWhatWasTakenStaysWhereItIs(t *testing.T) {
	var kept spareOf[resource]
	for round, many := range []int{1, 3, 3*keptValues + 7, keptValues, 2} {
		taken := make([]*resource, many)
		for i := range taken {
			taken[i] = kept.take()
			if taken[i].object != "" || taken[i].properties != nil {
				t.Fatalf("round %d: value %d is %+v, want an empty one", round, i, *taken[i])
			}
			taken[i].object, taken[i].properties = "customer", make([]property, i)
		}
		for i, value := range taken {
			if len(value.properties) != i {
				t.Fatalf("round %d: value %d is that of %d", round, i, len(value.properties))
			}
		}
		kept.giveBack()
	}
}

func TestSpareMemoryIsBoundedAndHoldsNoBody(t *testing.T) {
	var kept spareOf[property]
	for range 5 * keptValues {
		list := append(kept.takeSome(2), property{name: "owner", text: "lina"})
		if cap(list) != 2 {
			t.Fatalf("room for %d properties, want 2: the next entity's follow", cap(list))
		}
	}
	kept.giveBack()
	all := kept.values[:cap(kept.values)]
	if len(all) > keptValues {
		t.Errorf("%d values are kept, want %d at most", len(all), keptValues)
	}
	for i := range all {
		if all[i] != (property{}) {
			t.Fatalf("value %d still holds %+v", i, all[i])
		}
	}
}

func TestItemsAreForgottenWithTheRequest(t *testing.T) {
	work := &workspace{items: make([]item, 3, 8)}
	for i := range work.items {
		work.items[i].resource = &resource{object: "customer"}
	}
	work.forgetItems()
	for i, one := range work.items[:cap(work.items)] {
		if one.resource != nil {
			t.Errorf("item %d is still there", i)
		}
	}
	work.items = make([]item, keptValues+1)
	if work.forgetItems(); work.items != nil {
		t.Errorf("room for %d items is kept, want none", cap(work.items))
	}
}
