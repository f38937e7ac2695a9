// The client-go side of run-json: the decode path of a typed client, of a dynamic client and of a watch, on the same files.
//
//	jsonbench protobuf-of IN OUT      writes a PodList as the API server's protobuf
//	jsonbench measure CASE FILE RUNS  prints what the Swift side prints
package main

import (
	"fmt"
	"io"
	"os"
	"runtime"
	"runtime/debug"
	"sort"
	"strconv"
	"strings"
	"syscall"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	k8sruntime "k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	k8sjson "k8s.io/apimachinery/pkg/runtime/serializer/json"
	"k8s.io/apimachinery/pkg/runtime/serializer/streaming"
	restwatch "k8s.io/client-go/rest/watch"
	sigsjson "sigs.k8s.io/json"
)

type outcome struct {
	count     int
	kept      interface{}
	latencies []float64
}

func must(err error) {
	if err != nil {
		panic(err)
	}
}

func codecs() serializer.CodecFactory {
	scheme := k8sruntime.NewScheme()
	metav1.AddToGroupVersion(scheme, corev1.SchemeGroupVersion)
	must(corev1.AddToScheme(scheme))
	return serializer.NewCodecFactory(scheme)
}

func info(mediaType string) (serializer.CodecFactory, k8sruntime.SerializerInfo) {
	factory := codecs()
	found, ok := k8sruntime.SerializerInfoForMediaType(factory.SupportedMediaTypes(), mediaType)
	if !ok {
		panic("no serializer for " + mediaType)
	}
	return factory, found
}

// As rest.Request.Do: the whole body, then the decoder.
func body(file string) []byte {
	f, err := os.Open(file)
	must(err)
	defer f.Close()
	data, err := io.ReadAll(f)
	must(err)
	return data
}

func typed(file, mediaType string) outcome {
	factory, found := info(mediaType)
	decoder := factory.WithoutConversion().DecoderToVersion(found.Serializer, corev1.SchemeGroupVersion)
	list := &corev1.PodList{}
	_, _, err := decoder.Decode(body(file), nil, list)
	must(err)
	return outcome{len(list.Items), list, nil}
}

// What apimachinery has done since 1.23: find the kind, then sigs.k8s.io/json into the typed struct.
func typedCurrent(file string) outcome {
	data := body(file)
	_, err := k8sjson.DefaultMetaFactory.Interpret(data)
	must(err)
	list := &corev1.PodList{}
	must(sigsjson.UnmarshalCaseSensitivePreserveInts(data, list))
	return outcome{len(list.Items), list, nil}
}

func untyped(file string) outcome {
	object, _, err := unstructured.UnstructuredJSONScheme.Decode(body(file), nil, nil)
	must(err)
	list := object.(*unstructured.UnstructuredList)
	return outcome{len(list.Items), list, nil}
}

// A decoder of pods as `typedCurrent`.
type currentDecoder struct{}

func (currentDecoder) Decode(data []byte, _ *schema.GroupVersionKind, _ k8sruntime.Object) (k8sruntime.Object, *schema.GroupVersionKind, error) {
	kind, err := k8sjson.DefaultMetaFactory.Interpret(data)
	if err != nil {
		return nil, nil, err
	}
	pod := &corev1.Pod{}
	return pod, kind, sigsjson.UnmarshalCaseSensitivePreserveInts(data, pod)
}

func watch(file string, decoder k8sruntime.Decoder) outcome {
	factory, found := info("application/json")
	f, err := os.Open(file)
	must(err)
	if decoder == nil {
		decoder = factory.WithoutConversion().DecoderToVersion(found.Serializer, corev1.SchemeGroupVersion)
	}
	frames := found.StreamSerializer.Framer.NewFrameReader(f)
	events := restwatch.NewDecoder(streaming.NewDecoder(frames, found.StreamSerializer.Serializer), decoder)
	result := outcome{}
	for {
		start := processorTime()
		_, object, err := events.Decode()
		if err == io.EOF {
			return result
		}
		must(err)
		if object.(*corev1.Pod).Name != "" {
			result.count++
		}
		result.latencies = append(result.latencies, (processorTime()-start)*1e6)
	}
}

var cases = map[string]func(string) outcome{
	"json":          func(f string) outcome { return typed(f, "application/json") },
	"json-current":  typedCurrent,
	"protobuf":      func(f string) outcome { return typed(f, "application/vnd.kubernetes.protobuf") },
	"unstructured":  untyped,
	"watch":         func(f string) outcome { return watch(f, nil) },
	"watch-current": func(f string) outcome { return watch(f, currentDecoder{}) },
}

func main() {
	switch {
	case len(os.Args) == 4 && os.Args[1] == "protobuf-of":
		list := typed(os.Args[2], "application/json").kept.(*corev1.PodList)
		factory, found := info("application/vnd.kubernetes.protobuf")
		out, err := os.Create(os.Args[3])
		must(err)
		must(factory.EncoderForVersion(found.Serializer, corev1.SchemeGroupVersion).Encode(list, out))
		must(out.Close())
	case len(os.Args) == 5 && os.Args[1] == "measure":
		runs, err := strconv.Atoi(os.Args[4])
		must(err)
		measure(os.Args[2], os.Args[3], runs)
	default:
		panic("protobuf-of IN OUT | measure CASE FILE RUNS")
	}
}

func measure(name, file string, runs int) {
	var times []float64
	var last outcome
	var peak float64
	for i := 0; i < runs; i++ {
		last = outcome{}
		start := processorTime()
		last = cases[name](file)
		times = append(times, (processorTime()-start)*1000)
		// Of the first run: later ones would add what the ones before left behind.
		if peak == 0 {
			peak = memory("VmHWM:")
		}
	}
	sort.Float64s(times)
	middle := times[len(times)/2]
	debug.FreeOSMemory()
	debug.FreeOSMemory()
	stat, err := os.Stat(file)
	must(err)
	fmt.Printf("%s\t%.1f\t%.1f\t%.1f\t%.1f\t%d", name, middle, float64(stat.Size())/1000/middle,
		peak, memory("VmRSS:"), last.count)
	if n := len(last.latencies); n > 0 {
		sort.Float64s(last.latencies)
		fmt.Printf("\tp50 %.1f us, p99 %.1f us", last.latencies[n/2], last.latencies[n*99/100])
	}
	fmt.Println()
	runtime.KeepAlive(last.kept)
}

// Seconds of processor time of this process, with the garbage collector's.
func processorTime() float64 {
	var usage syscall.Rusage
	must(syscall.Getrusage(syscall.RUSAGE_SELF, &usage))
	return float64(usage.Utime.Nano()+usage.Stime.Nano()) / 1e9
}

func memory(field string) float64 {
	data, err := os.ReadFile("/proc/self/status")
	must(err)
	for _, line := range strings.Split(string(data), "\n") {
		if strings.HasPrefix(line, field) {
			kilobytes, err := strconv.ParseFloat(strings.Fields(line)[1], 64)
			must(err)
			return kilobytes * 1024 / 1e6
		}
	}
	return 0
}
