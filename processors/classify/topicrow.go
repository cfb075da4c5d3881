package classify

// TopicWidth is the number of columns of the topic table. The heads use the first of them.
const TopicWidth = 24

// topicRow is a row of the topic table, eight weights in a word. Each is stored as 128 more than it is, so that eight
// of them can be added at once without a sign that runs over into its neighbour.
type topicRow [TopicWidth / 8]uint64

// zeroWeights is a word of eight weights that are 0.
const zeroWeights = 0x8080_8080_8080_8080

func (r *topicRow) weight(column int) int8 { return int8(byte(r[column/8]>>(column%8*8)) ^ 0x80) }

func (r *topicRow) set(column int, w int8) {
	at := column % 8 * 8
	r[column/8] = r[column/8]&^(0xff<<at) | uint64(byte(w)^0x80)<<at
}

// mostRows is how many stored weights, of 255 at most, 16 bits can add up.
const mostRows = 1<<16/255 - 1

// topicSums adds rows up. Its lanes of 16 bits hold the sums of every other column, four in a word.
type topicSums struct {
	even, odd [TopicWidth / 8]uint64
	open      int32 // rows in the lanes
	rows      int32 // rows in all
	total     [TopicWidth]int32
}

func (s *topicSums) add(r *topicRow) {
	if s.open == mostRows {
		s.settle()
	}
	const lanes = 0x00ff_00ff_00ff_00ff
	for i, w := range r {
		s.even[i] += w & lanes
		s.odd[i] += w >> 8 & lanes
	}
	s.open++
	s.rows++
}

// settle brings what is in the lanes into the totals, which are complete then.
func (s *topicSums) settle() {
	for i := range s.even {
		for k := range 4 {
			s.total[8*i+2*k] += int32(s.even[i]>>(16*k)&0xffff) - 128*s.open
			s.total[8*i+2*k+1] += int32(s.odd[i]>>(16*k)&0xffff) - 128*s.open
		}
	}
	s.even, s.odd, s.open = [TopicWidth / 8]uint64{}, [TopicWidth / 8]uint64{}, 0
}
