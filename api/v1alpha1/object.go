package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
)

// Object is any object of this API.
//
// +kubebuilder:object:generate=false
type Object interface {
	metav1.Object
	runtime.Object
	// GetStatus returns the object's own status, to be read or changed in place.
	GetStatus() *Status
}

var (
	_ Object = (*Role)(nil)
	_ Object = (*UserBinding)(nil)
	_ Object = (*TemporaryGrant)(nil)
	_ Object = (*User)(nil)
	_ Object = (*Department)(nil)
	_ Object = (*ObjectType)(nil)
	_ Object = (*Guardrail)(nil)
	_ Object = (*Approval)(nil)
	_ Object = (*Revocation)(nil)
	_ Object = (*PermissionStore)(nil)
)

// GetStatus implements Object.
func (o *Role) GetStatus() *Status { return &o.Status }

// GetStatus implements Object.
func (o *UserBinding) GetStatus() *Status { return &o.Status }

// GetStatus implements Object.
func (o *TemporaryGrant) GetStatus() *Status { return &o.Status }

// GetStatus implements Object.
func (o *User) GetStatus() *Status { return &o.Status }

// GetStatus implements Object.
func (o *Department) GetStatus() *Status { return &o.Status }

// GetStatus implements Object.
func (o *ObjectType) GetStatus() *Status { return &o.Status }

// GetStatus implements Object.
func (o *Guardrail) GetStatus() *Status { return &o.Status }

// GetStatus implements Object.
func (o *Approval) GetStatus() *Status { return &o.Status }

// GetStatus implements Object.
func (o *Revocation) GetStatus() *Status { return &o.Status }

// GetStatus implements Object.
func (o *PermissionStore) GetStatus() *Status { return &o.Status.Status }
