package bench

import (
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
)

func TestARunIsReadAsItWasWritten(t *testing.T) {
	run := runOf(800, 805, 795)
	run.Samples[2].Failure = "the disk was full"
	var file bytes.Buffer
	if err := WriteHeader(&file, run.Header); err != nil {
		t.Fatal(err)
	}
	for _, s := range run.Samples {
		if err := WriteSample(&file, s); err != nil {
			t.Fatal(err)
		}
	}
	size := int64(file.Len())
	for cut := range 40 { // of what is written next
		torn := append(bytes.Clone(file.Bytes()), `{"sample":{"config":{"sizeBytes":1073741824`[:cut]...)
		got, whole, err := Read(bytes.NewReader(torn))
		if err != nil || whole != size || !reflect.DeepEqual(got, run) {
			t.Fatalf("with %d bytes more: %d of %d bytes, %v", cut, whole, size, err)
		}
	}
	if run.Complete() || len(run.Failures()) != 1 || !run.Has(run.Matrix[0], 1) || run.Has(run.Matrix[0], 2) {
		t.Errorf("complete: %t, failures: %v", run.Complete(), run.Failures())
	}
	again := run.Samples[2]
	again.Failure = ""
	run.Samples = append(run.Samples, again)
	if !run.Complete() || len(run.Failures()) != 0 {
		t.Errorf("made up for: complete: %t, failures: %v", run.Complete(), run.Failures())
	}
}

func TestAFileThatIsNoRunIsRefused(t *testing.T) {
	var good bytes.Buffer
	run := runOf(800)
	if err := WriteHeader(&good, run.Header); err != nil {
		t.Fatal(err)
	}
	header := good.String()
	for name, c := range map[string]struct {
		text string
		want error
	}{
		"empty":            {"", ErrNoRun},
		"torn header":      {header[:20], ErrNoRun},
		"other JSON":       {"{}\n", ErrNoRun},
		"no JSON":          {"hello\n", ErrNoRun},
		"header twice":     {header + header, ErrNoRun},
		"empty sample":     {header + `{"sample":{}}` + "\n", ErrNoRun},
		"impossible time":  {header + `{"sample":{"sourceBytes":1,"totalNanoseconds":-5}}` + "\n", ErrNoRun},
		"broken sample":    {header + `{"sample":{"round":"x"}}` + "\n", ErrNoRun},
		"another schema":   {strings.Replace(header, `"schemaVersion":1`, `"schemaVersion":2`, 1), ErrSchema},
		"no schema at all": {strings.Replace(header, `"schemaVersion":1`, `"schemaVersion":0`, 1), ErrSchema},
	} {
		if _, _, err := Read(strings.NewReader(c.text)); !errors.Is(err, c.want) {
			t.Errorf("%s: got %v, want %v", name, err, c.want)
		}
		if c.text != "" && c.text[0] == '{' {
			if _, err := ReadSeries(strings.NewReader(c.text), "file"); !errors.Is(err, c.want) {
				t.Errorf("%s, to compare: got %v, want %v", name, err, c.want)
			}
		}
	}
}

func TestTheTextFormIsThatOfGoBenchmarks(t *testing.T) {
	run := runOf(800, 805)
	var text bytes.Buffer
	if err := WriteText(&text, run); err != nil {
		t.Fatal(err)
	}
	t.Log("\n" + text.String())
	for _, line := range []string{
		"goos: linux", "etcd: 3.7.3", "host: linux/amd64, 2 x some processor, 8 GiB", "disk: tmpfs", "page-cache: warm", "etcd-drill-bench: 1",
		"BenchmarkRestore/size=1GiB/members=3/source=snapshot/route=restore 1 8e+08 ns/op 1.34217728e+09 B/s 6.4e+08 restore-ns",
	} {
		if !strings.Contains(text.String(), line) {
			t.Errorf("there is no line %q", line)
		}
	}
	if strings.Count(text.String(), "\nBenchmark") != 2 {
		t.Error("the warm-up counts, or a sample does not")
	}
	read, err := ReadSeries(&text, "text")
	if err != nil {
		t.Fatal(err)
	}
	direct := SeriesOf(run, "text")
	if fmt.Sprint(read.Values) != fmt.Sprint(direct.Values) || !reflect.DeepEqual(read.Facts, direct.Facts) {
		t.Errorf("read back it is\n%v %v, and was\n%v %v", read.Values, read.Facts, direct.Values, direct.Facts)
	}
}

func TestADimensionWithSeveralValuesIsInTheName(t *testing.T) {
	run := runOf(800)
	cold := run.Matrix[0]
	cold.PageCache = Cold
	run.Matrix = append(run.Matrix, cold)
	if name := run.Name(cold); name != "Restore/size=1GiB/members=3/source=snapshot/route=restore/page-cache=cold" {
		t.Errorf("got %s", name)
	}
	var text bytes.Buffer
	if err := WriteText(&text, run); err != nil {
		t.Fatal(err)
	}
	if strings.Contains(text.String(), "page-cache: ") || !strings.Contains(text.String(), "/page-cache=warm ") {
		t.Errorf("got %s", text.String())
	}
}

func TestForeignTextIsRefused(t *testing.T) {
	const good = "etcd-drill-bench: 1\nBenchmarkRestore/size=1GiB 1 800000000 ns/op\n"
	if _, err := ReadSeries(strings.NewReader(good), "good"); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		text string
		want error
	}{
		"other benchmarks": {"BenchmarkJudge 1 800000000 ns/op\n", ErrNoRun},
		"another schema":   {strings.Replace(good, ": 1", ": 7", 1), ErrSchema},
		"no benchmark":     {"etcd-drill-bench: 1\n", ErrNoRun},
		"torn":             {good[:len(good)-10] + "\n", ErrNoRun},
		"no time":          {strings.Replace(good, "ns/op", "B/s", 1), ErrNoRun},
		"zero":             {strings.Replace(good, "800000000", "0", 1), ErrNoRun},
		"infinite":         {strings.Replace(good, "800000000", "+Inf", 1), ErrNoRun},
		"two hosts":        {"host: a\n" + good + "host: b\n" + good, ErrNoRun},
	} {
		if s, err := ReadSeries(strings.NewReader(c.text), "file"); !errors.Is(err, c.want) {
			t.Errorf("%s: got %+v, %v, want %v", name, s, err, c.want)
		}
	}
}

func TestTheTableHasALineForEveryPhase(t *testing.T) {
	var text bytes.Buffer
	if err := WriteCSV(&text, runOf(800, 805)); err != nil {
		t.Fatal(err)
	}
	rows, err := csv.NewReader(&text).ReadAll()
	if err != nil || len(rows) != 1+3*3 || rows[1][0] != "0" || rows[4][10] != "total" || rows[4][12] != "800000000" {
		t.Errorf("got %v, %v", rows, err)
	}
}

func TestSizesAreWrittenAsPeopleDo(t *testing.T) {
	for bytes, want := range map[int64]string{
		16 << 20: "16MiB", 1 << 30: "1GiB", 1536 << 20: "1536MiB", 4096: "4KiB", 1000: "1000B", 0: "0B",
	} {
		if got := Size(bytes); got != want {
			t.Errorf("%d is %s, want %s", bytes, got, want)
		}
	}
}
