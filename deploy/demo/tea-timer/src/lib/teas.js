// What can be brewed: °C of the water, seconds of the first infusion, seconds more of each further one.
export const teas = [
  { id: 'longjing', name: '龙井 Longjing', degrees: 80, seconds: 60, more: 20 },
  { id: 'tieguanyin', name: '铁观音 Tieguanyin', degrees: 95, seconds: 45, more: 15 },
  { id: 'dianhong', name: '滇红 Dianhong', degrees: 95, seconds: 90, more: 30 },
  { id: 'puer', name: '普洱 Pu’er', degrees: 100, seconds: 20, more: 10 },
];

export const teaOf = (id) => teas.find((tea) => tea.id === id) ?? teas[0];

// Of the infusion `number`, counted from 1.
export const secondsOf = (tea, number) => tea.seconds + (number - 1) * tea.more;

export const clockOf = (seconds) => `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, '0')}`;
