import EnvoyAPI
import MeshModel
import SwiftProtobuf

/// The routes of one HTTP port of a service, as one client's proxy follows them.
///
/// A listener is bound to the service's address, so there is one virtual host for every authority. A service that no
/// object routes gets one route to all its endpoints. One that an object routes gets exactly its rules: a request that
/// none matches is answered 404, as Istio does.
struct RouteBuilder {
    let context: ProxyContext
    let service: MeshService
    let port: ServicePort

    var name: String {
        ResourceNames.routes(service.id, port: port.number, clusterDomain: context.settings.clusterDomain)
    }

    private var host: String { service.id.host(clusterDomain: context.settings.clusterDomain) }
    private var serviceSource: String { "Service \(service.id.namespace)/\(service.id.name)" }

    func build(into draft: inout ConfigurationDraft) {
        var clusters: Set<String> = []
        let object = context.route(for: service.id)
        let routes =
            if let object {
                self.routes(of: object, clusters: &clusters, draft: &draft)
            } else {
                [defaultRoute(clusters: &clusters)]
            }
        let configuration = EnvoyRoutes.with {
            $0.name = name
            $0.virtualHosts = [
                .with {
                    $0.name = "\(host):\(port.number)"
                    $0.domains = ["*"]
                    $0.routes = routes
                }
            ]
        }
        let sources = (object.map { [$0.source] } ?? []) + [serviceSource]
        draft.add(configuration, sources: sources, requires: clusters)
    }

    // MARK: Routes

    private func defaultRoute(clusters: inout Set<String>) -> EnvoyRoute {
        let cluster = context.clusterName(service.id, port: port.number)
        clusters.insert(cluster)
        return .with {
            $0.name = "default"
            $0.match.prefix = "/"
            $0.decorator.operation = "\(host):\(port.number)/*"
            $0.route = .with {
                $0.cluster = cluster
                $0.timeout = .init(milliseconds: 0)
                if let retries = RetryRules.envoyPolicy(nil) { $0.retryPolicy = retries }
            }
        }
    }

    private func routes(
        of object: TrafficRoute, clusters: inout Set<String>, draft: inout ConfigurationDraft
    ) -> [EnvoyRoute] {
        var routes: [EnvoyRoute] = []
        var hasCatchAll = false
        for rule in object.rules {
            let matches = rule.matches.filter { $0.concerns(context.proxy, port: port.number) }
            guard rule.matches.isEmpty || !matches.isEmpty else { continue }
            var resolver = DestinationResolver(context: context, called: service.id, port: port, source: object.source)
            let base = route(rule, resolver: &resolver)
            resolver.flush(into: &draft, clusters: &clusters)
            for match in matches.isEmpty ? [RequestMatch()] : matches {
                var route = base
                route.match = match.envoyMatch
                rewrite(rule, match, &route)
                routes.append(route)
                if !match.looksIntoRequests { hasCatchAll = true }
            }
            // Nothing after a rule that takes everything can be reached.
            if hasCatchAll { break }
        }
        if !hasCatchAll {
            draft.note(
                object.source,
                "has no rule for every request to \(service.id) port \(port.number): what no rule matches is answered 404"
            )
        }
        return routes
    }

    private func route(_ rule: RouteRule, resolver: inout DestinationResolver) -> EnvoyRoute {
        var route = EnvoyRoute()
        route.name = rule.name.isEmpty ? "rule" : rule.name
        route.decorator.operation = "\(host):\(port.number)/*"
        route.requestHeadersToAdd = rule.requestHeaders.additions
        route.requestHeadersToRemove = rule.requestHeaders.removals
        route.responseHeadersToAdd = rule.responseHeaders.additions
        route.responseHeadersToRemove = rule.responseHeaders.remove.sorted()
        if let fault = rule.fault {
            route.typedPerFilterConfig[FaultInjection.filterName] = FaultInjection.config(fault)
        }
        route.route = .with {
            $0.timeout = rule.timeoutSeconds.map { .seconds($0) } ?? .init(milliseconds: 0)
            if let retries = RetryRules.envoyPolicy(rule.retries) { $0.retryPolicy = retries }
            if let authority = rule.rewriteAuthority ?? rule.requestHeaders.authority {
                $0.hostRewriteLiteral = authority
            }
            resolver.setDestinations(rule.destinations, on: &$0)
            for mirror in rule.mirrors where mirror.percent > 0 {
                let cluster = resolver.cluster(for: mirror.destination)
                $0.requestMirrorPolicies.append(
                    .with {
                        $0.cluster = cluster
                        $0.runtimeFraction.defaultValue = .init(percent: mirror.percent)
                    })
            }
        }
        return route
    }

    /// Replaces what the match named of the path; where it named nothing, puts the new part in front.
    private func rewrite(_ rule: RouteRule, _ match: RequestMatch, _ route: inout EnvoyRoute) {
        guard let uri = rule.rewriteURI else { return }
        switch match.uri {
        case nil, .present: route.route.prefixRewrite = uri.hasSuffix("/") ? uri : uri + "/"
        case .exact, .prefix, .regex: route.route.prefixRewrite = uri
        }
    }
}
