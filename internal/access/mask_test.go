package access_test

import (
	"testing"

	. "github.com/crmaccess/crm-access-operator/internal/access"
)

func TestWhatIsSeenOfAMaskedValue(t *testing.T) {
	phone := Mask{Type: MaskKeep, KeepFirst: 3, KeepLast: 4}
	for name, c := range map[string]struct {
		mask        Mask
		value, want string
		something   bool
	}{
		"both ends of a telephone number":           {phone, "13812345678", "138****5678", true},
		"nothing of what the ends would make whole": {phone, "1234567", "****", true},
		"characters, not bytes":                     {Mask{Type: MaskKeep, KeepFirst: 1}, "王小明", "王****", true},
		"two characters and the domain":             {Mask{Type: MaskEmail}, "li-ting@huayue.example", "li****@huayue.example", true},
		"the domain alone of a short name":          {Mask{Type: MaskEmail}, "li@huayue.example", "****@huayue.example", true},
		"nothing of what is no address":             {Mask{Type: MaskEmail}, "li-ting", "****", true},
		"nothing of what has two signs":             {Mask{Type: MaskEmail}, "a@b@c.example", "****", true},
		"the year":                                  {Mask{Type: MaskYear}, "1984-05-06", "1984", true},
		"nothing of what is no date":                {Mask{Type: MaskYear}, "19840506", "****", true},
		"that there is something":                   {Mask{Type: MaskListed}, "a lot", "****", true},
		"that there is nothing":                     {Mask{Type: MaskListed}, "", "", true},
		"nothing at all":                            {Mask{Type: "Full"}, "a lot", "", false},
		"nothing where no mask is declared":         {Mask{}, "a lot", "", false},
		"nothing by a mask that nobody knows":       {Mask{Type: "Blur"}, "a lot", "", false},
	} {
		if got, something := c.mask.Show(c.value); got != c.want || something != c.something {
			t.Errorf("%s: got %q, %t, want %q, %t", name, got, something, c.want, c.something)
		}
	}
}
