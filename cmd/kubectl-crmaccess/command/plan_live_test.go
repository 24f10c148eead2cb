package command

import (
	"slices"
	"testing"

	"github.com/crmaccess/crm-access-operator/internal/access"
)

func TestApprovalsOfTheClusterStandBesideTheManifests(t *testing.T) {
	ours, theirs, other := &access.Approval{Name: "a", Denied: true}, &access.Approval{Name: "a"}, &access.Approval{Name: "b"}
	if got := withStanding([]*access.Approval{ours}, []*access.Approval{theirs, other}); !slices.Equal(got, []*access.Approval{ours, other}) {
		t.Errorf("got %v, want what head says of a, and b of the cluster", got)
	}
	if got := withStanding(nil, []*access.Approval{other}); !slices.Equal(got, []*access.Approval{other}) {
		t.Errorf("got %v without approvals in head, want b of the cluster", got)
	}
}
