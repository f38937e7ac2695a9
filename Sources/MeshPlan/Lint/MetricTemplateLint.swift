package import HeddleAPI
package import KubeCore

extension MetricTemplateSpec {
    /// Everything that keeps Prometheus from taking the query of this template, whatever its variables come to be.
    package func lint() -> [FieldError] {
        let values: [(Variable, String)] = Variable.allCases.map { variable in
            (variable, variable == .interval ? "60s" : variable.rawValue)
        }
        do throws(FieldError) {
            let query = try Self.render(query, Dictionary(uniqueKeysWithValues: values))
            return PromQLLint.problems(in: query, path: "spec.query")
        } catch {
            return [FieldError(path: "spec.\(error.path)", message: error.message)]
        }
    }

    /// Whether the query tells the canary from stable; one that does not judges both together.
    package var tellsTracksApart: Bool {
        query.split(separator: "{{").dropFirst().contains {
            $0.drop(while: { $0 == " " }).hasPrefix(Variable.track.rawValue)
        } || query.contains("destination_subset") || query.contains("pod_template_hash")
    }
}
