package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// Group is the API group of every kind here.
const Group = "crmaccess.io"

// GroupVersion is the group and version of every kind here.
var GroupVersion = schema.GroupVersion{Group: Group, Version: "v1alpha1"}

// SchemeBuilder collects the kinds; AddToScheme adds them to a scheme.
var (
	SchemeBuilder = runtime.NewSchemeBuilder(addKnownTypes)
	AddToScheme   = SchemeBuilder.AddToScheme
)

func addKnownTypes(scheme *runtime.Scheme) error {
	scheme.AddKnownTypes(GroupVersion,
		&Role{}, &RoleList{},
		&UserBinding{}, &UserBindingList{},
		&TemporaryGrant{}, &TemporaryGrantList{},
		&User{}, &UserList{},
		&Department{}, &DepartmentList{},
		&ObjectType{}, &ObjectTypeList{},
		&Guardrail{}, &GuardrailList{},
		&Approval{}, &ApprovalList{},
		&Revocation{}, &RevocationList{},
		&PermissionStore{}, &PermissionStoreList{},
	)
	metav1.AddToGroupVersion(scheme, GroupVersion)
	return nil
}
