package intake

import (
	"testing"

	"github.com/etcd-drill/etcd-drill/recovery/internal/offlinetest"
)

func TestMain(m *testing.M) { offlinetest.Main(m) }
