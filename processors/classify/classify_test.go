package classify

import (
	"encoding/json"
	"testing"
)

func TestSmoke(t *testing.T) {
	c, err := Load()
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range []string{"Parcel arrived crushed and nobody answered for three days. The girl at the counter was lovely though. I will buy elsewhere.", "服务员态度很差，等了两个小时，再也不来了！", "The food was great but the wait staff was slow."} {
		l := c.Classify(Input{Text: s})
		b, _ := json.MarshalIndent(NewLine(&l), "", " ")
		t.Logf("%s", b)
	}
}
