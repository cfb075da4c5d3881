package revise

import (
	"cmp"

	"github.com/earshot/earshot/schemas"
)

// lineage is who was said in whose place.
type lineage struct {
	versions []schemas.Revision
	by       map[schemas.EventID]*schemas.Revision
	foreign  map[schemas.Trace]struct{} // changes without effect: what they name is of another source or channel
}

func newLineage(versions []schemas.Revision) *lineage {
	l := &lineage{versions, make(map[schemas.EventID]*schemas.Revision, len(versions)), map[schemas.Trace]struct{}{}}
	for i := range versions {
		l.by[versions[i].ID] = &versions[i]
	}
	return l
}

// named is the identity of what a version changes or takes back; false: it stands by itself. So does one that names what is
// not its own, or a deletion.
func (l *lineage) named(v *schemas.Revision) (schemas.EventID, bool) {
	if v.Gone != (schemas.EventID{}) {
		return v.Gone, v.Gone != v.ID
	}
	if !v.Edit() && v.Kind != schemas.FeedbackDeleted {
		return schemas.EventID{}, false
	}
	source, id, ok := schemas.ParseRef(v.Ref)
	if !ok {
		return schemas.EventID{}, false
	}
	parent := schemas.Identify(v.Tenant, source, id)
	p := l.by[parent]
	if v.Source != source || p != nil && p.Channel != v.Channel {
		l.foreign[v.Trace] = struct{}{}
		return schemas.EventID{}, false
	}
	return parent, p == nil || p.Kind != schemas.FeedbackDeleted
}

// root is the identity of what was said first, of a version of it. Where versions name each other in a circle it is the least
// of theirs.
func (l *lineage) root(v *schemas.Revision) schemas.EventID {
	way := map[schemas.EventID]bool{}
	for {
		parent, ok := l.named(v)
		if !ok {
			return v.ID
		}
		way[v.ID] = true
		next := l.by[parent]
		if next == nil {
			return parent
		}
		if way[parent] {
			return l.least(next)
		}
		v = next
	}
}

// least is the least identity of a circle.
func (l *lineage) least(in *schemas.Revision) schemas.EventID {
	least, v := in.ID, in
	for {
		parent, _ := l.named(v)
		if v = l.by[parent]; v == in {
			return least
		}
		if string(v.ID[:]) < string(least[:]) {
			least = v.ID
		}
	}
}

// strange says whether a version is a change that has not been told yet what was said first was. Only what is there, and is no
// change itself, can tell.
func (l *lineage) strange(v *schemas.Revision, root schemas.EventID) bool {
	first := l.by[root]
	if !v.Edit() || first == nil || first.Edit() || first.Kind == schemas.Erased || first.Kind == schemas.FeedbackDeleted {
		return false
	}
	kind := first.Kind
	if kind == schemas.Superseded {
		kind = cmp.Or(first.First.Kind, schemas.FeedbackUpdated) // not kept by earlier programs
	}
	return v.First != schemas.First{Ref: first.Name, At: first.Said.UnixMilli(), Kind: kind}
}

// rooted says whether what was said first is there, of whatever bears a name.
func (l *lineage) rooted(tenant, ref string) bool {
	source, id, ok := schemas.ParseRef(ref)
	if !ok {
		return true // it names nothing, and never will
	}
	v := l.by[schemas.Identify(tenant, source, id)]
	return v != nil && l.by[l.root(v)] != nil
}

// families are the versions of each first event. Where that is not there its channel is not known either: those of each
// channel are by themselves.
func (l *lineage) families() map[family][]schemas.Revision {
	out := map[family][]schemas.Revision{}
	for i := range l.versions {
		v := &l.versions[i]
		k := family{l.root(v), v.Channel}
		out[k] = append(out[k], *v)
	}
	return out
}

// family names the versions of one event.
type family struct {
	root    schemas.EventID
	channel string
}
