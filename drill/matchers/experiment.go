package matchers

import (
	"github.com/onsi/gomega/gmeasure"

	"github.com/etcd-drill/etcd-drill/drill"
)

// Experiments returns what a benchmark measured, an experiment for every configuration that has samples, to be added to the report of
// a spec: AddReportEntry(experiment.Name, experiment). Of the time to the first acknowledged write and of every phase each holds all
// samples, in the order in which they were measured; of a phase also the bytes per second, the processor time and the peak of resident
// memory of its workers, where they are known. Rounds to warm up and failures are left out.
func Experiments(measured drill.Benchmark) []*gmeasure.Experiment {
	var all []*gmeasure.Experiment
	for _, config := range measured.Matrix {
		experiment := gmeasure.NewExperiment(measured.Name(config))
		for _, sample := range measured.Samples {
			if sample.Config != config || !sample.Counts() {
				continue
			}
			experiment.RecordDuration("first-write-after", sample.Total)
			for _, phase := range sample.Phases {
				experiment.RecordDuration(phase.Name, phase.Took)
				if seconds := phase.Took.Seconds(); phase.Bytes > 0 && seconds > 0 {
					experiment.RecordValue(phase.Name+" rate", float64(phase.Bytes)/seconds/(1<<20), gmeasure.Units("MiB/s"))
				}
				if phase.CPU > 0 {
					experiment.RecordDuration(phase.Name+" CPU", phase.CPU)
				}
				if phase.PeakRSSBytes > 0 {
					experiment.RecordValue(phase.Name+" peak memory", float64(phase.PeakRSSBytes)/(1<<20), gmeasure.Units("MiB"))
				}
			}
		}
		if len(experiment.Measurements) > 0 {
			all = append(all, experiment)
		}
	}
	return all
}
