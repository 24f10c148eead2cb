package store

import "github.com/crmaccess/crm-access-operator/internal/access"

// RecordPlace says where the records of an object are stored, and what is to be read of each.
type RecordPlace struct {
	access.StorageFact
	// Fields are those whose values are read as attributes.
	Fields []string
}
