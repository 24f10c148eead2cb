package controllers

import (
	"encoding/json"
	"fmt"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/crmaccess/crm-access-operator/api/v1alpha1"
	"github.com/crmaccess/crm-access-operator/internal/access"
	"github.com/crmaccess/crm-access-operator/internal/manifest"
	"github.com/crmaccess/crm-access-operator/internal/store"
)

// kind adapts one kind that declares access.
type kind struct {
	name    access.Kind
	plural  string
	newList func() client.ObjectList
	newOne  func() v1alpha1.Object
}

// kinds are all that declare access. A PermissionStore declares where, not what.
var kinds = []kind{
	{access.KindObjectType, "objecttypes", func() client.ObjectList { return &v1alpha1.ObjectTypeList{} }, func() v1alpha1.Object { return &v1alpha1.ObjectType{} }},
	{access.KindDepartment, "departments", func() client.ObjectList { return &v1alpha1.DepartmentList{} }, func() v1alpha1.Object { return &v1alpha1.Department{} }},
	{access.KindUser, "users", func() client.ObjectList { return &v1alpha1.UserList{} }, func() v1alpha1.Object { return &v1alpha1.User{} }},
	{access.KindRole, "roles", func() client.ObjectList { return &v1alpha1.RoleList{} }, func() v1alpha1.Object { return &v1alpha1.Role{} }},
	{access.KindUserBinding, "userbindings", func() client.ObjectList { return &v1alpha1.UserBindingList{} }, func() v1alpha1.Object { return &v1alpha1.UserBinding{} }},
	{access.KindTemporaryGrant, "temporarygrants", func() client.ObjectList { return &v1alpha1.TemporaryGrantList{} }, func() v1alpha1.Object { return &v1alpha1.TemporaryGrant{} }},
	{access.KindGuardrail, "guardrails", func() client.ObjectList { return &v1alpha1.GuardrailList{} }, func() v1alpha1.Object { return &v1alpha1.Guardrail{} }},
	{access.KindApproval, "approvals", func() client.ObjectList { return &v1alpha1.ApprovalList{} }, func() v1alpha1.Object { return &v1alpha1.Approval{} }},
	{access.KindRevocation, "revocations", func() client.ObjectList { return &v1alpha1.RevocationList{} }, func() v1alpha1.Object { return &v1alpha1.Revocation{} }},
}

// specOf is the object's spec, for its source row.
func specOf(object v1alpha1.Object) any {
	switch o := object.(type) {
	case *v1alpha1.ObjectType:
		return &o.Spec
	case *v1alpha1.Department:
		return &o.Spec
	case *v1alpha1.User:
		return &o.Spec
	case *v1alpha1.Role:
		return &o.Spec
	case *v1alpha1.UserBinding:
		return &o.Spec
	case *v1alpha1.TemporaryGrant:
		return &o.Spec
	case *v1alpha1.Guardrail:
		return &o.Spec
	case *v1alpha1.Approval:
		return &o.Spec
	case *v1alpha1.Revocation:
		return &o.Spec
	}
	return nil
}

// declaration is what one object declares, converted once a generation.
type declaration struct {
	uid        string
	generation int64
	fragment   access.Declarations
	err        error
	source     store.Row
	// since is when this text was first seen.
	since time.Time
}

// declare converts an object. An object that cannot be converted confers nothing; its source is kept all the same.
func declare(ref access.Ref, object v1alpha1.Object) (*declaration, error) {
	d := &declaration{uid: string(object.GetUID()), generation: object.GetGeneration()}
	spec, err := json.Marshal(specOf(object))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", ref, err)
	}
	if d.source, err = store.SourceRow(ref, store.Source{UID: d.uid, Spec: spec}); err != nil {
		return nil, err
	}
	d.err = manifest.Declare(&d.fragment, object)
	return d, nil
}

// redeclare converts what the store keeps of an object that is not in the API.
func redeclare(ref access.Ref, source store.Source) (*declaration, error) {
	for _, k := range kinds {
		if k.name != ref.Kind {
			continue
		}
		object := k.newOne()
		if err := json.Unmarshal(source.Spec, specOf(object)); err != nil {
			return nil, fmt.Errorf("source of %s: %w", ref, err)
		}
		object.SetName(ref.Name)
		object.SetUID(types.UID(source.UID))
		d := &declaration{uid: source.UID}
		var err error
		if d.source, err = store.SourceRow(ref, source); err != nil {
			return nil, err
		}
		d.err = manifest.Declare(&d.fragment, object)
		return d, nil
	}
	return nil, fmt.Errorf("source of %s: unknown kind", ref)
}

// merge puts the declarations of many objects together.
func merge(all map[access.Ref]*declaration) access.Declarations {
	var d access.Declarations
	for _, one := range all {
		f := &one.fragment
		d.ObjectTypes = append(d.ObjectTypes, f.ObjectTypes...)
		d.Departments = append(d.Departments, f.Departments...)
		d.Users = append(d.Users, f.Users...)
		d.Roles = append(d.Roles, f.Roles...)
		d.UserBindings = append(d.UserBindings, f.UserBindings...)
		d.TemporaryGrants = append(d.TemporaryGrants, f.TemporaryGrants...)
		d.Guardrails = append(d.Guardrails, f.Guardrails...)
		d.Approvals = append(d.Approvals, f.Approvals...)
		d.Revocations = append(d.Revocations, f.Revocations...)
	}
	return d
}

// refOf names an object.
func refOf(name access.Kind, object metav1.Object) access.Ref {
	return access.Ref{Kind: name, Name: object.GetName()}
}
