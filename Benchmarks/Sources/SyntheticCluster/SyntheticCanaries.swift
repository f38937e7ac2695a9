/// Custom resources with a specification, a pod template and a status; about 2.5 KB each.
package struct SyntheticCanaries {
    private var random: SplitMix

    package init(seed: UInt64 = 2) { random = SplitMix(seed: seed) }

    /// The `index`-th canary, as JSON text.
    package mutating func canary(_ index: Int) -> String {
        let time = random.time()
        let steps = [5, 10, 25, 50, 75].map { #"{"weight":\#($0),"duration":"10m","minimumSamples":1000}"# }
        let conditions = ["Ready", "Progressing", "Promoted"].map {
            """
            {"type":"\($0)","status":"\(random.below(2) == 0 ? "True" : "False")","reason":"AsExpected","observedGeneration":7,\
            "message":"Step 3 of 5 has run for 4m12s; 8123 samples, ratio 0.9987.","lastTransitionTime":"\(time)"}
            """
        }
        let template = """
            {"metadata":{"labels":{"app.kubernetes.io/name":"app-\(index % 300)","tier":"backend"}},"spec":{"containers":[{"name":"main",\
            "image":"registry.example.com/platform/app-\(index % 300):v\(index % 9).2.1","ports":[{"containerPort":8080,"name":"http"}],\
            "resources":{"limits":{"cpu":"1","memory":"512Mi"},"requests":{"cpu":"100m","memory":"256Mi"}},"readinessProbe":{"httpGet":\
            {"path":"/readyz","port":"http"},"periodSeconds":5}}],"serviceAccountName":"app-\(index % 300)"}}
            """
        return """
            {"apiVersion":"heddle.dev/v1alpha1","kind":"Canary","metadata":{"creationTimestamp":"\(time)","generation":7,"labels":\
            {"app.kubernetes.io/part-of":"shop","team":"team-\(index % 40)"},"managedFields":[{"apiVersion":"heddle.dev/v1alpha1",\
            "fieldsType":"FieldsV1","fieldsV1":{"f:spec":{"f:steps":{},"f:service":{"f:name":{},"f:port":{}},"f:targetRef":{"f:kind":{},"f:name":{}},\
            "f:metrics":{},"f:template":{"f:metadata":{"f:labels":{}},"f:spec":{"f:containers":{},"f:serviceAccountName":{}}}}},"manager":"kubectl",\
            "operation":"Apply","time":"\(time)"}],"name":"app-\(index)","namespace":"team-\(index % 40)","resourceVersion":"\(200_000_000 + index)",\
            "uid":"\(random.uid())"},"spec":{"metrics":[{"name":"success-ratio","threshold":0.995},{"name":"latency","bound":0.25,"share":0.99}],\
            "service":{"name":"app-\(index)","port":8080},"steps":[\(steps.joined(separator: ","))],"targetRef":{"apiVersion":"apps/v1",\
            "kind":"Deployment","name":"app-\(index)"},"template":\(template)},"status":{"conditions":[\(conditions.joined(separator: ","))],\
            "phase":"Progressing","step":3,"weightPercent":25}}
            """
    }
}
