package sqlite_test

import (
	"testing"

	"github.com/crmaccess/crm-access-operator/internal/access/accesstest"
	"github.com/crmaccess/crm-access-operator/internal/store/storetest"
)

func TestDecisionsFromWhatIsStoredAgreeWithTheReference(t *testing.T) {
	storetest.Agree(t, newHarness(t), accesstest.Questions(t))
}
