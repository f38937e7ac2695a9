import ArgumentParser
import HeddleAPI
import KubeCore

/// `heddle explain`: why Heddle did what it did.
struct ExplainCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "explain", abstract: "Print the decisions about a release or an adoption, with their evidence.",
        discussion:
            "The last \(DecisionRecord.kept) decisions are kept, oldest first: what was asked of the metrics, what came back, "
            + "which rule judged it, and what would have changed the verdict.")

    @OptionGroup var cluster: ClusterOptions
    @Argument(help: ArgumentHelp("canary/NAME or adoption/NAME.", valueName: "kind/name"))
    var reference: ResourceReference

    func run() async throws {
        let view = try await cluster.withCluster { cluster in
            let finder = ResourceFinder(cluster)
            return switch reference.kind {
            case .canary: ExplainView(try await finder.find(Canary.self, reference.name))
            case .adoption: ExplainView(try await finder.find(Adoption.self, reference.name))
            }
        }
        Terminal.standard().show(view)
    }
}
