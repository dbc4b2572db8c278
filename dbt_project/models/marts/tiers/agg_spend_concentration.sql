-- Pareto: which share of spend and profit the top n % of customers hold, and the long tail the rest. Customers by
-- spend descending, ties by id; the edge is ceil(customers x share).
with indicators as (

    select * from {{ ref('fct_customer_indicators') }}

),

buyers as (

    select
        customer_id,
        as_of_date,
        annual_spend,
        profit_contribution,
        row_number() over (partition by as_of_date order by annual_spend desc, customer_id asc) as position,
        count(*) over (partition by as_of_date) as all_customers,
        sum(annual_spend) over (partition by as_of_date) as all_spend,
        sum(profit_contribution) over (partition by as_of_date) as all_profit
    from indicators
    where order_frequency > 0 and annual_spend is not null

),

shares as (

    {% for percent in [1, 5, 10, 18, 20, 50] -%}
    select cast({{ percent }} as decimal(5, 2)) / 100 as top_share
    {% if not loop.last %}union all{% endif %}
    {% endfor %}

)

select
    buyers.as_of_date,
    cast(shares.top_share as decimal(5, 2)) as top_share,
    cast(sum(case when buyers.position <= ceil(buyers.all_customers * shares.top_share) then 1 else 0 end) as integer)
        as top_customers,
    cast(
        sum(case when buyers.position <= ceil(buyers.all_customers * shares.top_share) then buyers.annual_spend end)
        as decimal(18, 2)
    ) as top_spend,
    {{ ratio(
        'sum(case when buyers.position <= ceil(buyers.all_customers * shares.top_share) then buyers.annual_spend end)',
        'max(buyers.all_spend)'
    ) }} as spend_share,
    {{ ratio(
        'sum(case when buyers.position <= ceil(buyers.all_customers * shares.top_share) then buyers.profit_contribution end)',
        'max(buyers.all_profit)'
    ) }} as profit_share,
    cast(sum(case when buyers.position > ceil(buyers.all_customers * shares.top_share) then 1 else 0 end) as integer)
        as tail_customers,
    cast(
        coalesce(
            sum(case when buyers.position > ceil(buyers.all_customers * shares.top_share) then buyers.annual_spend end),
            0
        ) as decimal(18, 2)
    ) as tail_spend
from buyers
cross join shares
group by buyers.as_of_date, shares.top_share
