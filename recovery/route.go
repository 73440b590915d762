package recovery

// Route names a way back from a disaster.
type Route string

// The routes.
const (
	// RouteRestore restores every member from one source and starts a new logical cluster on them.
	RouteRestore Route = "restore"
	// RouteSeed restores one member from a source, as a new cluster of one, and adds the others to it.
	RouteSeed Route = "seed"
	// RouteForce starts one member that kept its data with --force-new-cluster, and adds the others anew.
	RouteForce Route = "force-new-cluster"
	// RouteReplace removes members that are lost while the quorum lives, and adds others in their place.
	RouteReplace Route = "replace"
	// RouteRestart starts the members again on the data that they have.
	RouteRestart Route = "restart"
)

// Routes lists all routes.
func Routes() []Route {
	return []Route{RouteRestore, RouteSeed, RouteForce, RouteReplace, RouteRestart}
}

// Known tells whether this is a route.
func (r Route) Known() bool { return r.rules().text != "" }

// Text says in a sentence what is done.
func (r Route) Text() string { return r.rules().text }

// KeepsCluster tells whether the cluster ID must stay what it was. Where it does, nothing in the ID tells an old member from a
// new one: the removed ones are told by their peers (HTTP 410), and only as long as a peer is there that knows.
func (r Route) KeepsCluster() bool { return r.rules().keeps }

// NeedsSource tells whether the route starts from a backup.
func (r Route) NeedsSource() bool { return r.rules().source }

// Loses says in a sentence which acknowledged writes the route costs.
func (r Route) Loses() string { return r.rules().loses }

// LosesNothing tells whether a single acknowledged write that is missing is damage.
func (r Route) LosesNothing() bool { return r.rules().lossless }

type routeRules struct {
	text, loses             string
	keeps, source, lossless bool
}

func (r Route) rules() routeRules {
	switch r {
	case RouteRestore:
		return routeRules{
			text: "restore every member from one source", source: true,
			loses: "every write above the restore point of the source",
		}
	case RouteSeed:
		return routeRules{
			text: "restore one member from a source and add the others to it", source: true,
			loses: "every write above the restore point of the source",
		}
	case RouteForce:
		return routeRules{
			text: "start one survivor with --force-new-cluster and add the others anew", keeps: true,
			loses: "what the survivor did not know to be committed: a few writes, if it was a follower",
		}
	case RouteReplace:
		return routeRules{
			text: "remove the lost members and add others in their place", keeps: true, lossless: true,
			loses: "nothing: the quorum lives",
		}
	case RouteRestart:
		return routeRules{
			text: "start the members again on the data that they have", keeps: true, lossless: true,
			loses: "nothing: every acknowledged write is in the write-ahead logs of a quorum",
		}
	}
	return routeRules{}
}
